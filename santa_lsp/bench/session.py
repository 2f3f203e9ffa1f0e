"""Typing sessions: a text and a person's steps in it, in a form that people can write.

language: python
file: store.py
== text
class Store:
    def add(self, item):
        ...
== steps
:: go         def add(self, item):║        put the cursor at ║; the text must have this once
:: type                                    the lines that follow, key by key; Enter between
        self.items.append(item)            them inserts the next line's indentation
:: pause 2.5                               seconds of thinking
:: erase item)                             this text before the cursor, by backspace
:: paste                                   the lines that follow, at once
:: undo                                    the changes of the last step, at once
:: ask                                     for a completion by hand
:: accept                                  look at the completion, take it, look, undo it
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Literal, get_args

from santa_lsp.bench import BenchError

CURSOR = "║"

Verb = Literal["go", "type", "pause", "erase", "paste", "undo", "ask", "accept"]

#: Verbs without text.
_BARE = ("undo", "ask", "accept")


@dataclass(frozen=True, slots=True)
class Step:
    """One step; `text` is the verb's argument, "" for verbs without one."""

    verb: Verb
    text: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """`language` is an LSP identifier, `file` a name with the language's suffix.

    `cursor` is the first cursor position (code points); None: at the end.
    """

    name: str
    language: str
    file: str
    text: str
    steps: tuple[Step, ...]
    cursor: int | None = None


def names() -> list[str]:
    """The sessions in the package."""
    return sorted(file.name.removesuffix(".session") for file in _folder().iterdir())


def read(name: str) -> Session:
    """A session of the package. Raises BenchError."""
    if name not in names():
        raise BenchError(f"there is no session {name!r}; there are {', '.join(names())}")
    return parse(name, (_folder() / f"{name}.session").read_text(encoding="utf-8"))


def parse(name: str, source: str) -> Session:
    """A session of a text in this form. Raises BenchError, which names the line."""
    head, _, body = source.partition("== text\n")
    text, _, script = body.partition("== steps\n")
    fields = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    if not script or not {"language", "file"} <= fields.keys():
        raise BenchError(f"session {name}: needs language:, file:, == text and == steps")
    first_line = source[: source.index("== steps\n")].count("\n") + 2
    return Session(name, fields["language"], fields["file"], text, _steps(name, script, first_line))


def _steps(name: str, script: str, first_line: int) -> tuple[Step, ...]:
    found: list[tuple[int, str, list[str]]] = []  # line number, verb, lines of text
    for number, line in enumerate(script.splitlines(), first_line):
        if line.startswith(":: "):
            verb, space, argument = line.removeprefix(":: ").partition(" ")
            found.append((number, verb, [argument] if space else []))
        elif found:
            found[-1][2].append(line)
        else:
            raise BenchError(f"session {name}, line {number}: a step starts with ':: '")
    return tuple(_step(f"session {name}, line {each[0]}", *each[1:]) for each in found)


def _step(place: str, word: str, lines: list[str]) -> Step:
    verb = next((each for each in get_args(Verb) if each == word), None)
    text = "\n".join(lines)
    if verb is None:
        raise BenchError(f"{place}: no such step: {word!r}")
    if bool(lines) == (verb in _BARE):
        raise BenchError(f"{place}: {verb} needs {'no' if lines else 'a'} text")
    if (verb == "go") != (text.count(CURSOR) == 1):
        raise BenchError(f"{place}: go, and nothing else, needs one {CURSOR}")
    if verb == "pause" and not text.replace(".", "", 1).isdigit():
        raise BenchError(f"{place}: pause needs seconds, not {text!r}")
    return Step(verb, text)


def _folder() -> resources.abc.Traversable:
    return resources.files("santa_lsp") / "data" / "sessions"
