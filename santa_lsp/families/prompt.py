"""Prompts: windows around a cursor, in a model's form. Training, evaluation and serving share it.

The completion follows the prompt's last token. `forms.py` has the forms.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from santa_lsp.families.forms import PromptForm
from santa_lsp.languages import language

Encode = Callable[[str], list[int]]
#: The ids of a text, and the index of the character at which each token starts.
Locate = Callable[[str], tuple[list[int], list[int]]]

#: Share of the prompt given to the text after the cursor when both sides are long.
SUFFIX_SHARE = 0.25
#: Real code has fewer characters than this to a token, so text further away is never tokenized.
CHARACTERS_PER_TOKEN = 6
#: Windows move in steps of this many tokens, so that they stand still while the user types.
STEP = 64


def path_comment(language_name: str, path: str) -> str:
    """The line of language, folder and file that some models were taught to see before the text.

    `# python models/query.py`: the end of a path says what a file is about, is the same on every
    machine, and does not tell whose it is. Without a path the language stands alone.
    """
    row = language(language_name)
    parts = [part for part in re.split(r"[\\/]+", path) if part]
    shown = "/".join(parts[-2:])
    return f"{row.comment} {row.taught_as or row.name} {shown}".rstrip() + "\n"


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """How one model's prompts are written.

    Without a `form` (a model without fill-in-the-middle tokens) the prompt is the prefix alone.
    `path_comment` says whether the model was taught to see one. `start_ids` begin every prompt.
    """

    form: PromptForm | None
    path_comment: bool = False
    start_ids: tuple[int, ...] = ()

    def build(
        self,
        prefix: str,
        suffix: str,
        language_name: str,
        path: str,
        locate: Locate,
        budget: int,
        suffix_budget: int | None = None,
    ) -> list[int]:
        """The prompt of at most `budget` tokens for the text around a cursor.

        The suffix gets at most `SUFFIX_SHARE` of the budget and the prefix the rest; what one side
        does not need goes to the other, but the suffix never gets more than `suffix_budget` tokens.
        Both windows stand still while text is typed at the cursor and then move by a step, so that
        an engine can reuse what it computed for the last keystroke. The path comment is left out
        where it would take more than an eighth of the room.

        Raises ValueError when `budget` leaves no room for text.
        """
        room = budget - len(self.start_ids) - (self.form.overhead if self.form else 0)
        if room < 1:
            raise ValueError(f"a prompt budget of {budget} tokens leaves no room for text")
        lead = locate(path_comment(language_name, path))[0] if self.path_comment else []
        lead = lead if len(lead) * 8 <= room else []
        room -= len(lead)
        if self.form is None:
            return [*self.start_ids, *lead, *prefix_window(prefix, locate, room)]
        most = room if suffix_budget is None else min(room, suffix_budget)
        suffix_ids = suffix_window(suffix, locate, most)
        suffix_room = min(most, int(room * SUFFIX_SHARE))
        prefix_ids = prefix_window(prefix, locate, room - min(len(suffix_ids), suffix_room))
        spare = room - -(-len(prefix_ids) // STEP) * STEP
        kept = suffix_ids[: max(suffix_room, spare)]
        return [*self.start_ids, *self.form.assemble(lead + prefix_ids, kept)]

    def prefix_part(self, prompt_ids: Sequence[int]) -> tuple[int, int]:
        """Where the text before the cursor begins and ends among a prompt's ids."""
        if self.form is not None:
            try:
                return self.form.prefix_bounds(prompt_ids)
            except ValueError:  # not a prompt of this format
                pass
        return 0, len(prompt_ids)


def prefix_window(prefix: str, locate: Locate, room: int) -> list[int]:
    """The last at most `room` tokens of `prefix`, from the end of a line on where it must be cut.

    They are the last of the whole text's ids, with any pre-tokenizer: more text is encoded and then
    cut between two tokens. Typing moves the start of the window once in `STEP` tokens or so. A
    single line that is too long is cut inside, in steps too.
    """
    stretch = STEP * CHARACTERS_PER_TOKEN
    begin = max(0, len(prefix) - room * CHARACTERS_PER_TOKEN - stretch) // stretch * stretch
    ids, starts = locate(prefix[begin:])
    if begin == 0 and len(ids) <= room:
        return ids
    for start in range(begin, len(prefix), stretch):
        if (cut := _line_end(prefix, start, start + stretch)) is None:
            continue
        first = bisect_left(starts, cut - begin)
        if 0 < len(ids) - first <= room:
            return ids[first:]
    step = max(1, min(STEP, room) // 4)
    return ids[max(0, -(-(len(ids) - room) // step)) * step :]


def suffix_window(suffix: str, locate: Locate, room: int) -> list[int]:
    """The first at most `room` tokens of `suffix`; the first ids of the whole text's."""
    end = room * CHARACTERS_PER_TOKEN
    ids, starts = locate(suffix[:end])
    if len(suffix) > end and (line_end := suffix.rfind("\n", 0, end - 1)) > 0:
        # The last line was cut: its last tokens are not those of the whole text.
        ids = ids[: bisect_left(starts, line_end)]
    return ids[:room]


def _line_end(text: str, start: int, end: int) -> int | None:
    """The first line end of text[start:end] that follows a visible character; None without one."""
    found = text.find("\n", start, end)
    while found > 0 and text[found - 1].isspace():
        found = text.find("\n", found + 1, end)
    return found if found > 0 else None
