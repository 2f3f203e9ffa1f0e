"""Command line of the corpus; the package's docstring has examples."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from tqdm import tqdm

from model.evaluation_data import VARIABLE, default_folder

from . import __doc__ as description
from .build import build, check_replaceable
from .count import count_tokens, read_table
from .decontaminate import EvaluationIndex, read_evaluation_texts, words
from .documents import Corpus, CorpusError
from .evidence import Evidence, is_evidence
from .fetch import bring, fetch_all, sha256_of
from .manifest import DEFAULT_MANIFEST, STANDARD_LIBRARY, Project, read_manifest
from .report import format_table
from .sources import Source, own_source, standard_library

if TYPE_CHECKING:
    from tokenizers import Tokenizer

DEFAULT_DOWNLOADS = platformdirs.user_cache_path("santa-lsp") / "corpus"


def main(arguments: list[str] | None = None) -> int:
    """Run one sub-command; return 0, 1 after a failure explained in one line, or 2 for usage."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except CorpusError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error}; the corpus was left as it was", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped: the same command again resumes the downloads", file=sys.stderr)
        return 130
    return 0


def run_build(options: argparse.Namespace) -> None:
    """Fetch, filter and write a corpus, then print its table."""
    check_replaceable(options.out)
    tokenizer = _load_tokenizer(options.tokenizer) if options.tokenizer else None
    index = _evaluation_index(options.eval_dir)
    if index is None and (options.only or not options.from_dir):
        print(
            "warning: not decontaminated: without --eval-dir, scores of a model trained on this "
            "corpus may be inflated",
            file=sys.stderr,
        )
    sources = [own_source(folder) for folder in options.from_dir]
    held_out: frozenset[str] = frozenset()
    if options.only or not options.from_dir:
        manifest = read_manifest(options.manifest)
        held_out = manifest.held_out
        projects = manifest.select(options.only) if options.only else manifest.projects
        sources += _fetch_sources(projects, options)
    with tqdm(total=len(sources), desc="filter", unit="project") as bar:
        table = build(options.out, sources, index, options.jobs, held_out, bar.update)
    print(format_table(count_tokens(options.out, tokenizer) if tokenizer else table))


def run_table(options: argparse.Namespace) -> None:
    """Print a corpus's table; with a tokenizer, count its tokens first."""
    tokenizer = _load_tokenizer(options.tokenizer) if options.tokenizer else None
    corpus = options.corpus
    print(format_table(count_tokens(corpus, tokenizer) if tokenizer else read_table(corpus)))


def run_check(options: argparse.Namespace) -> None:
    """Report the documents of a corpus that overlap evaluation data or are held out."""
    index = _evaluation_index(options.eval_dir)
    if index is None:
        raise CorpusError(f"needs the evaluation data: give --eval-dir or set {VARIABLE}")
    corpus = Corpus(options.corpus)
    held_out = read_manifest(options.manifest).held_out
    n_documents, findings = 0, 0
    for document in tqdm(corpus, desc="check", unit="file"):
        n_documents += 1
        key = f"{document.registry}:{document.package}"
        shared = index.overlap(words(document.text))
        if shared or key in held_out:
            findings += 1
            print(f"{key} {document.path}: {shared.words if shared else 'held out for evaluation'}")
    print(f"{n_documents:,} documents, {findings:,} overlap {len(index):,} evaluation runs")
    if findings:
        raise CorpusError("the corpus is contaminated: build it again with the same --eval-dir")


def run_pin(options: argparse.Namespace) -> None:
    """Print the manifest line of a project; where its licence is not clear, a person decides."""
    with tempfile.TemporaryDirectory() as scratch:
        brought = bring(options.registry, options.name, options.version, Path(scratch))
        project = Project(options.registry, options.name, brought.version, "")
        evidence = Evidence()
        for path, content in Source(project, brought.archive).read(is_evidence):
            evidence.read(path, content)
        sha256 = sha256_of(brought.archive)
    fields = dataclasses.asdict(project) | {"licence": evidence.suggestion() or "?"}
    fields |= {"sha256": sha256}
    fields.pop("only")
    print("  { " + ", ".join(f'{name}="{value}"' for name, value in fields.items()) + " },")
    print(f"licence found: {evidence.summary() or 'nothing'}", file=sys.stderr)


def _fetch_sources(projects: tuple[Project, ...], options: argparse.Namespace) -> list[Source]:
    remote = [project for project in projects if project.registry != STANDARD_LIBRARY]
    with tqdm(total=len(remote), desc="fetch", unit="project") as bar:
        archives, failures = fetch_all(remote, options.downloads, bar.update)
    if failures:
        reasons = "".join(f"\n  {reason}" for reason in failures)
        if not options.skip_missing:
            raise CorpusError(
                f"{len(failures)} of {len(projects)} projects could not be fetched; run again to "
                f"resume, or build without them with --skip-missing:{reasons}"
            )
        print(f"left out:{reasons}", file=sys.stderr)
    return [
        standard_library(project)
        if project.registry == STANDARD_LIBRARY
        else Source(project, archives[project])
        for project in projects
        if project.registry == STANDARD_LIBRARY or project in archives
    ]


def _evaluation_index(eval_dir: Path | None) -> EvaluationIndex | None:
    folder = eval_dir or default_folder()
    return EvaluationIndex(read_evaluation_texts(folder)) if folder else None


def _load_tokenizer(path: Path) -> Tokenizer:
    from model.tokenizer import TokenizerError, load  # only here: most builds count no tokens

    try:
        return load(path)
    except TokenizerError as error:
        raise CorpusError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.corpus",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("build", help="write a corpus and print its table")
    command.set_defaults(run=run_build)
    command.add_argument(
        "out", type=Path, metavar="OUT", help="folder; an older corpus is replaced"
    )
    command.add_argument(
        "--only", nargs="+", metavar="NAME", default=[], help="some projects of the manifest"
    )
    _add_manifest(command)
    command.add_argument(
        "--downloads", type=Path, metavar="DIR", default=DEFAULT_DOWNLOADS,
        help="where archives are kept between builds (default: %(default)s)",
    )  # fmt: skip
    command.add_argument(
        "--from-dir", type=Path, nargs="+", metavar="PATH", default=[],
        help="pack these folders of your own; alone, unless --only is given too",
    )  # fmt: skip
    command.add_argument(
        "--skip-missing", action="store_true", help="leave out projects that cannot be fetched"
    )
    command.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="processes (default: %(default)s)"
    )
    command.add_argument(
        "--tokenizer", type=Path, metavar="FILE", help="tokenizer.json to count tokens with"
    )
    _add_eval_dir(command)

    command = commands.add_parser("table", help="print a corpus's table, count its tokens")
    command.set_defaults(run=run_table)
    command.add_argument("corpus", type=Path, metavar="CORPUS")
    command.add_argument(
        "--tokenizer", type=Path, metavar="FILE", help="tokenizer.json to count tokens with"
    )

    command = commands.add_parser("check", help="look for evaluation data in a corpus")
    command.set_defaults(run=run_check)
    command.add_argument("corpus", type=Path, metavar="CORPUS")
    _add_manifest(command)
    _add_eval_dir(command)

    command = commands.add_parser("pin", help="print the manifest line of a new project")
    command.set_defaults(run=run_pin)
    command.add_argument("registry", choices=["pypi", "npm", "debian"])
    command.add_argument("name", metavar="NAME")
    command.add_argument("--version", default="", help="default: the newest")
    return parser


def _add_manifest(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--manifest", type=Path, default=DEFAULT_MANIFEST, metavar="FILE", help="list of projects"
    )


def _add_eval_dir(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--eval-dir", type=Path, metavar="DIR",
        help=f"evaluation data to keep out of the corpus (default: ${VARIABLE})",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
