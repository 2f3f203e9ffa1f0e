"""Typing sessions: a text and what a person does with it, in a form that people can write.

language: python
file: store.py
== text
class Store:
    def add(self, item):
        ...
== steps
:: go         def add(self, item):║        the cursor ║, where this stands in the text, once
:: type                                    the lines that follow, key by key; Enter between
        self.items.append(item)            them brings the next line's indentation along
:: pause 2.5                               seconds of thinking
:: erase item)                             this, before the cursor, by backspace
:: paste                                   the lines that follow, at once
:: undo                                    what the last step changed, at once
:: ask                                     for a completion, by hand
:: accept                                  look at what is shown, take it, look again, undo it
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Literal, get_args

from santa_lsp.bench import BenchError

CURSOR = "║"

Verb = Literal["go", "type", "pause", "erase", "paste", "undo", "ask", "accept"]

#: These are followed by lines.
_BLOCKS = ("type", "paste")
#: These stand alone.
_BARE = ("undo", "ask", "accept")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing done; `text` is what the verb is about, "" where it is about nothing."""

    verb: Verb
    text: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """`language` is an LSP identifier, `file` a name with the right ending."""

    name: str
    language: str
    file: str
    text: str
    steps: tuple[Step, ...]


def names() -> list[str]:
    """The sessions in the package."""
    return sorted(file.name.removesuffix(".session") for file in _folder().iterdir())


def read(name: str) -> Session:
    """A session of the package. Raises BenchError."""
    if name not in names():
        raise BenchError(f"there is no session {name!r}; there are {', '.join(names())}")
    return parse(name, (_folder() / f"{name}.session").read_text(encoding="utf-8"))


def parse(name: str, source: str) -> Session:
    """Raises BenchError, which names the line."""
    head, _, body = source.partition("== text\n")
    text, _, script = body.partition("== steps\n")
    fields = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    if not script or not {"language", "file"} <= fields.keys():
        raise BenchError(f"session {name}: needs language:, file:, == text and == steps")
    first_line = source[: source.index("== steps\n")].count("\n") + 2
    return Session(name, fields["language"], fields["file"], text, _steps(name, script, first_line))


def _steps(name: str, script: str, first_line: int) -> tuple[Step, ...]:
    steps: list[Step] = []
    block: list[str] | None = None

    def end_block() -> None:
        if block is not None:
            steps.append(Step(steps.pop().verb, "\n".join(block)))

    for number, line in enumerate(script.splitlines(), first_line):
        if not line.startswith(":: "):
            if block is None:
                raise BenchError(f"session {name}, line {number}: a step starts with ':: '")
            block.append(line)
            continue
        end_block()
        word, _, argument = line.removeprefix(":: ").partition(" ")
        verb = next((each for each in get_args(Verb) if each == word), None)
        needs_none = word in _BLOCKS or word in _BARE
        if verb is None or bool(argument) == needs_none:
            raise BenchError(f"session {name}, line {number}: not a step: {line!r}")
        if (verb == "go") != (argument.count(CURSOR) == 1):
            raise BenchError(f"session {name}, line {number}: go needs one {CURSOR}")
        steps.append(Step(verb, argument))
        block = [] if word in _BLOCKS else None
    end_block()
    return tuple(steps)


def _folder() -> resources.abc.Traversable:
    return resources.files("santa_lsp") / "data" / "sessions"
