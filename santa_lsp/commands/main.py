"""The `santa-lsp` command: the server and its sub-commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

from santa_lsp import __version__
from santa_lsp.bench import BenchError
from santa_lsp.commands import bench, complete, doctor, export, models, serve
from santa_lsp.commands.options import UsageError, model_options
from santa_lsp.completion.engine import Engine, EngineError
from santa_lsp.engines import load_engine as load_local_engine
from santa_lsp.models import ModelError
from santa_lsp.settings import Settings, SettingsError

EXAMPLES = """examples:
  santa-lsp --stdio                                   serve an editor
  santa-lsp complete examples/shapes.py:24:16         one completion, in the terminal
  cat main.js | santa-lsp complete -:10:5 --language javascript
  santa-lsp models list                               the models on this machine
  santa-lsp models add bigcode/gpt_bigcode-santacoder SantaCoder itself, 1.1B parameters
  santa-lsp export CHECKPOINT OUTPUT                  a checkpoint -> a model directory
  santa-lsp doctor                                    check the installation, measure the speed
  santa-lsp bench                                     typing sessions against the server: latency

exit status: 0, 1 for a failure, 2 for a wrong command line, 3 when `complete` has nothing to show
"""


def main(
    argv: list[str] | None = None,
    load_engine: Callable[[Settings], Engine] = load_local_engine,
) -> NoReturn:
    """Exit with 0, 1 for a failure (explained in one line), 2 for usage, 3 for nothing to show.

    `load_engine` loads the served model.
    """
    given = sys.argv[1:] if argv is None else argv
    # argparse takes -:LINE:COLUMN for an option.
    given = [complete.STDIN + each[1:] if each.startswith("-:") else each for each in given]
    arguments = _parser().parse_args(given, argparse.Namespace(load_engine=load_engine))
    try:
        arguments.run(arguments)
    except (ModelError, EngineError, SettingsError, BenchError) as error:
        sys.exit(f"santa-lsp: {error}")
    except UsageError as error:
        print(f"santa-lsp: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has closed it; so must we
    sys.exit(0)


def _parser() -> argparse.ArgumentParser:
    common = model_options()
    parser = argparse.ArgumentParser(
        prog="santa-lsp",
        description="Inline code completion that runs on your own machine.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common],
    )
    parser.add_argument("--version", action="version", version=f"santa-lsp {__version__}")
    serve.add_options(parser)
    commands = parser.add_subparsers(title="commands", metavar="")
    complete.add_parser(commands, common)
    models.add_parser(commands)
    export.add_parser(commands)
    doctor.add_parser(commands, common)
    bench.add_parser(commands, common)
    return parser
