"""Command line of the corpus: see the package's docstring for examples."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from . import __doc__ as description
from .build import Source, build, own_source, standard_library
from .decontaminate import EvaluationIndex, read_evaluation_texts
from .documents import CorpusError
from .fetch import fetch_all
from .manifest import DEFAULT_MANIFEST, Project, read_manifest
from .report import print_table

EVAL_DIR_VARIABLE = "SANTA_EVAL_DIR"
console = Console(stderr=True)


def main(arguments: list[str] | None = None) -> int:
    """Run one sub-command; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except CorpusError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; run the same command again to resume", file=sys.stderr)
        return 130
    return 0


def run_build(options: argparse.Namespace) -> None:
    """Fetch, filter and write a corpus, then print its table."""
    index = _evaluation_index(options)
    sources = [own_source(folder) for folder in options.from_dir]
    with _progress() as progress:
        if options.only or not options.from_dir:
            manifest = read_manifest(options.manifest)
            projects = manifest.select(options.only) if options.only else manifest.projects
            sources += _fetch_sources(projects, options, progress)
        task = progress.add_task("filter", total=len(sources))
        table = build(options.out, sources, index, options.jobs, lambda _: progress.advance(task))
    print_table(table)


def _fetch_sources(projects: tuple[Project, ...], options: argparse.Namespace, progress: Progress) -> list[Source]:
    remote = [project for project in projects if project.registry != "python-stdlib"]
    task = progress.add_task("fetch", total=len(remote))
    archives, failures = fetch_all(remote, options.downloads, lambda _: progress.advance(task))
    if failures:
        reasons = "\n  ".join(failures.values())
        if not options.skip_missing:
            raise CorpusError(
                f"{len(failures)} of {len(projects)} projects could not be fetched (run again to resume, or "
                f"build without them with --skip-missing):\n  {reasons}"
            )
        print(f"left out:\n  {reasons}", file=sys.stderr)
    return [
        standard_library(project) if project.registry == "python-stdlib" else Source(project, archives[project])
        for project in projects
        if project.registry == "python-stdlib" or project in archives
    ]


def _evaluation_index(options: argparse.Namespace) -> EvaluationIndex | None:
    folder = options.eval_dir or os.environ.get(EVAL_DIR_VARIABLE)
    if folder:
        return EvaluationIndex(read_evaluation_texts(Path(folder)))
    print(
        f"warning: not decontaminated: give --eval-dir (or {EVAL_DIR_VARIABLE}) before evaluating what is trained on this",
        file=sys.stderr,
    )
    return None


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description:>7}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.corpus", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("build", help="write a corpus")
    command.add_argument("out", type=Path, metavar="OUT", help="the corpus's folder; an older corpus there is replaced")
    command.add_argument("--only", nargs="+", metavar="NAME", default=[], help="some projects of the manifest")
    command.add_argument("--manifest", type=Path, default=DEFAULT_MANIFEST, metavar="FILE")
    command.add_argument(
        "--downloads", type=Path, metavar="DIR", default=Path.home() / ".cache" / "santa-corpus",
        help="where archives are kept between builds (default: %(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--from-dir", type=Path, nargs="+", metavar="PATH", default=[], help="pack these folders; alone unless --only is given"
    )
    command.add_argument("--skip-missing", action="store_true", help="build without the projects that cannot be fetched")
    command.add_argument("--jobs", type=int, default=1, metavar="N", help="processes that filter (default: %(default)s)")
    command.add_argument(
        "--eval-dir", type=Path, metavar="DIR", help=f"evaluation data to keep out (default: ${EVAL_DIR_VARIABLE})"
    )
    command.set_defaults(run=run_build)
    return parser


if __name__ == "__main__":
    sys.exit(main())
