"""A person at an editor: a session's steps as timed keys, each with its edit.

The editor closes brackets and quotes as VS Code does, lets the user type over the closer, and
indents at Enter. In the end, the text after a `type` step is the text before with exactly the
step's text in it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from santa_lsp.bench import BenchError
from santa_lsp.bench.session import CURSOR, Session, Step
from santa_lsp.document import AUTO_CLOSED

Kind = Literal["type", "erase", "paste", "undo", "move", "ask", "accept"]


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace text[start:end], in code points."""

    start: int
    end: int
    text: str

    def apply(self, text: str) -> str:
        return text[: self.start] + self.text + text[self.end :]


@dataclass(frozen=True, slots=True)
class Key:
    """The next key, `delay` seconds after the one before.

    `press` makes its edit in the typist's text and returns it; None if it edits nothing.
    """

    kind: Kind
    delay: float
    press: Callable[[], Edit | None]


class Delays:
    """Seconds between keys: log-normal around medians that depend on the characters.

    The medians make about 0.24 s a key on average, as 168,000 people typed in Dhakal et al.,
    "Observations on Typing from 136 Million Keystrokes" (CHI 2018); in code, people also think at
    line starts.
    """

    LETTER, WORD_START, SYMBOL, ENTER, LINE_START, ERASE = 0.14, 0.19, 0.24, 0.30, 0.90, 0.09
    LOOK = 1.0  # at the result of a completion or an undo
    SPREAD = 0.35

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def around(self, median: float) -> float:
        return median * self._random.lognormvariate(0.0, self.SPREAD)

    def before(self, previous: str, key: str) -> float:
        """The pause before `key` when `previous` was the key before it."""
        if previous.startswith("\n"):
            return self.around(self.LINE_START)
        if key.startswith("\n"):
            return self.around(self.ENTER)
        if not key.isalnum() and key != " ":
            return self.around(self.SYMBOL)
        return self.around(self.LETTER if previous.isalnum() else self.WORD_START)


class Typist:
    """Plays a session: `keystrokes` yields one key after the other, to be pressed by the caller.

    `text` and `cursor` are those after the last key. Instead of pressing a key of a `type` or
    `accept` step, the caller may `accept` a completion; its text need then not be typed.
    """

    def __init__(self, session: Session, seed: int = 0) -> None:
        self.text = session.text
        self.cursor = len(session.text) if session.cursor is None else session.cursor
        #: The part of the present step that is left to type.
        self.rest = ""
        self._session = session
        self._delays = Delays(seed)
        #: Closing characters the editor has put after the cursor, nearest last, each with its
        #: distance from the end of the text.
        self._closers: list[tuple[str, int]] = []
        self._repeated: list[int] = []  # distances from the end; an accepted text had them too
        self._before: list[tuple[str, int]] = []  # text and cursor before each step that edits

    def keystrokes(self) -> Iterator[Key]:
        """Every key of the session. Raises BenchError when a step does not fit the text."""
        pause = 0.0
        for step in self._session.steps:
            if step.verb == "pause":
                pause += float(step.text)
                continue
            if step.verb in ("type", "erase", "paste", "accept"):
                self._before.append((self.text, self.cursor))
            if step.verb != "type":
                self._closers.clear()
            for key in self._step(step):
                yield Key(key.kind, key.delay + pause, key.press)
                pause = 0.0

    def accept(self, start: int, end: int, text: str) -> Edit:
        """Take a completion that replaces text[start:end]; its text counts as typed."""
        new = text.removeprefix(self.text[start : self.cursor])
        self._close(new)
        self.rest = self.rest.removeprefix(new)
        return self._edit(Edit(start, end, text))

    def _step(self, step: Step) -> Iterator[Key]:
        look = self._delays.around(self._delays.LOOK)
        if step.verb == "type":
            yield from self._type(step.text)
        elif step.verb == "go":
            yield Key("move", look, lambda: self._go(step))
        elif step.verb == "erase":
            if not self.text[: self.cursor].endswith(step.text):
                raise self._misfit(step, "that is not what stands before the cursor")
            size = len(step.text) if "\n" in step.text else 1
            for _ in range(0, len(step.text), size):
                delay = self._delays.around(self._delays.ERASE)
                yield Key("erase", delay, lambda: self._erase(size))
        elif step.verb == "paste":
            yield Key("paste", look, lambda: self._insert(step.text))
        elif step.verb == "undo":
            if not self._before:
                raise self._misfit(step, "nothing was changed yet")
            yield Key("undo", look, self._undo)
        elif step.verb == "ask":
            yield Key("ask", look, lambda: None)
        else:
            text = self.text
            yield Key("accept", look, lambda: None)
            if self.text != text:  # a completion was taken
                yield Key("undo", self._delays.around(self._delays.LOOK), self._undo)
            else:
                self._before.pop()

    def _type(self, text: str) -> Iterator[Key]:
        end = self.cursor + len(text)
        wanted = self.text[: self.cursor] + text + self.text[self.cursor :]
        self.rest, previous = text, ""
        while self.rest or self._repeated:
            if self._repeated:
                yield Key("erase", self._delays.around(self._delays.LOOK), self._erase_repeated)
                continue
            key = self._next_key()
            yield Key("type", self._delays.before(previous, key), self._press)
            previous = key
        if self.text != wanted:  # the editor has closed too much
            mend = difference(self.text, wanted)
            yield Key("erase", self._delays.around(self._delays.LOOK), lambda: self._edit(mend))
        self.cursor = end

    def _next_key(self) -> str:
        """A character, or Enter with its indentation."""
        body = self.rest[1:]
        indent = body[: len(body) - len(body.lstrip(" \t"))]
        return "\n" + indent if self.rest.startswith("\n") else self.rest[:1]

    def _go(self, step: Step) -> None:
        before, _, after = step.text.partition(CURSOR)
        if (found := self.text.count(before + after)) != 1:
            raise self._misfit(step, f"it is in the text {found} times, not once")
        self.cursor = self.text.index(before + after) + len(before)

    def _erase(self, size: int) -> Edit:
        return self._edit(Edit(self.cursor - size, self.cursor, ""))

    def _insert(self, text: str) -> Edit:
        return self._edit(Edit(self.cursor, self.cursor, text))

    def _undo(self) -> Edit:
        text, cursor = self._before.pop()
        edit = self._edit(difference(self.text, text))
        self.cursor = cursor
        return edit

    def _erase_repeated(self) -> Edit:
        """Remove a closing character that an accepted completion has repeated."""
        at, cursor = len(self.text) - self._repeated.pop(0), self.cursor
        edit = self._edit(Edit(at, at + 1, ""))
        self.cursor = cursor
        return edit

    def _press(self) -> Edit | None:
        """The editor's edit for the next key to type."""
        key, at = self._next_key(), self.cursor
        self.rest = self.rest[len(key) :]
        following = self.text[at : at + 1]
        closer = self._closers[-1][0] if self._closers else ""
        if closer and closer == key == following:
            self._closers.pop()
            return self._edit(Edit(at, at + 1, key))  # typed over
        if key.startswith("\n") and closer:
            # Enter has put the closing bracket on a line of its own: it is not typed again.
            below = self.text[at : len(self.text) - self._closers[-1][1]]
            if below == key and self.rest.startswith(closer):
                self.rest = self.rest[1:]
                self.cursor = at + len(below) + 1
                self._closers.pop()
                return None
            if closer == following and self.text[at - 1] + closer in {"()", "[]", "{}"}:
                line = self.text[:at].rpartition("\n")[2]
                outer = line[: len(line) - len(line.lstrip())]
                edit = self._insert(f"{key}\n{outer}")
                self.cursor = at + len(key)
                return edit
        if self._pairs(key, following):
            edit = self._insert(key + AUTO_CLOSED[key])
            self.cursor = at + 1
            self._closers.append((AUTO_CLOSED[key], len(self.text) - self.cursor))
            return edit
        return self._insert(key)

    def _pairs(self, key: str, following: str) -> bool:
        """Whether the editor closes `key` at once: never right before a word; a quote only away
        from words, and if the text to come closes it on the same line."""
        if key not in AUTO_CLOSED or (
            following and not following.isspace() and following not in ")]}"
        ):
            return False
        if AUTO_CLOSED[key] != key:
            return _closes(key, self.rest)
        before = self.text[self.cursor - 1 : self.cursor]
        inside = self.rest.partition("\n")[0]
        apart = not (before.isalnum() or before in ("_", key)) and not inside.startswith(key)
        return apart and key in inside

    def _close(self, text: str) -> None:
        """Note the closers after the cursor that a completion's `text` repeats."""
        opened: list[str] = []
        for character in text:
            if opened and character == opened[-1]:
                opened.pop()
            elif self._closers and character == self._closers[-1][0]:
                self._repeated.append(self._closers.pop()[1])
            elif character in AUTO_CLOSED:
                opened.append(AUTO_CLOSED[character])

    def _edit(self, edit: Edit) -> Edit:
        self.text = edit.apply(self.text)
        self.cursor = edit.start + len(edit.text)
        return edit

    def _misfit(self, step: Step, why: str) -> BenchError:
        return BenchError(f"session {self._session.name}: {step.verb} {step.text!r}: {why}")


def _closes(opener: str, rest: str) -> bool:
    """Whether the text to come closes this bracket itself."""
    depth = 1
    for character in rest:
        depth += (character == opener) - (character == AUTO_CLOSED[opener])
        if depth == 0:
            return True
    return False


def difference(before: str, after: str) -> Edit:
    """The one edit from `before` to `after`."""
    most = min(len(before), len(after))
    start = next((i for i in range(most) if before[i] != after[i]), most)
    same = most - start
    end = next((i for i in range(same) if before[-1 - i] != after[-1 - i]), same)
    return Edit(start, len(before) - end, after[start : len(after) - end])
