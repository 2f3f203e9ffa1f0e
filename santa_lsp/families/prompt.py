"""The fill-in-the-middle format: one definition for training, evaluation and serving.

PSM `<fim-prefix> P <fim-suffix> S <fim-middle>` and SPM `<fim-prefix> <fim-suffix> S <fim-middle>
P` (variant 2 of Bavarian et al. 2022, arXiv:2207.14255), as SantaCoder was trained
(arXiv:2301.03988). The completion follows the prompt's last token in both orders.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from santa_lsp.languages import language

Order = Literal["psm", "spm"]
Encode = Callable[[str], list[int]]

#: Share of the prompt given to the text after the cursor when both sides are long.
SUFFIX_SHARE = 0.25
#: Real code has fewer characters than this to a token, so text further away is never tokenized.
CHARACTERS_PER_TOKEN = 6
#: Windows move in steps of this many tokens, so that they stand still while the user types.
STEP = 64


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one model family spells the fill-in-the-middle tokens."""

    name: str
    fim_prefix_token: str
    fim_middle_token: str
    fim_suffix_token: str
    fim_pad_token: str


HYPHEN = Dialect("hyphen", "<fim-prefix>", "<fim-middle>", "<fim-suffix>", "<fim-pad>")
UNDERSCORE = Dialect("underscore", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>")
DIALECTS = (HYPHEN, UNDERSCORE)
END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True, slots=True)
class FimIds:
    """Token ids of a dialect in one tokenizer."""

    prefix: int
    middle: int
    suffix: int
    pad: int


def find_dialect(token_to_id: Callable[[str], int | None]) -> tuple[Dialect, FimIds] | None:
    """The dialect whose tokens a tokenizer has, by name; None for a left-to-right model."""
    for dialect in DIALECTS:
        ids = [
            token_to_id(token)
            for token in (
                dialect.fim_prefix_token,
                dialect.fim_middle_token,
                dialect.fim_suffix_token,
                dialect.fim_pad_token,
            )
        ]
        if None not in ids:
            return dialect, FimIds(*(i for i in ids if i is not None))
    return None


def assemble(
    fim: FimIds, order: Order, prefix_ids: Sequence[int], suffix_ids: Sequence[int]
) -> list[int]:
    """The ids the model sees before the middle."""
    if order == "psm":
        return [fim.prefix, *prefix_ids, fim.suffix, *suffix_ids, fim.middle]
    return [fim.prefix, fim.suffix, *suffix_ids, fim.middle, *prefix_ids]


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

    `fim` is None for a model without fill-in-the-middle tokens: it sees the prefix alone.
    `path_comment` says whether it was taught to see one.
    """

    fim: FimIds | None
    order: Order
    path_comment: bool

    def build(
        self,
        prefix: str,
        suffix: str,
        language_name: str,
        path: str,
        encode: Encode,
        budget: int,
    ) -> list[int]:
        """The prompt of at most `budget` tokens for the text around a cursor.

        The suffix gets at most `SUFFIX_SHARE` of the budget and the prefix the rest; what one side
        does not need goes to the other. Both windows stand still while text is typed at the cursor
        and then move by a step, so that an engine can reuse what it computed for the last
        keystroke. The path comment is left out where it would take more than an eighth of the room.

        Raises ValueError when `budget` leaves no room for text.
        """
        room = budget - 3 if self.fim else budget
        if room < 1:
            raise ValueError(f"a prompt budget of {budget} tokens leaves no room for text")
        lead = encode(path_comment(language_name, path)) if self.path_comment else []
        lead = lead if len(lead) * 8 <= room else []
        room -= len(lead)
        if self.fim is None:
            return lead + prefix_window(prefix, encode, room)
        suffix_ids = encode(suffix[: room * CHARACTERS_PER_TOKEN])
        suffix_room = int(room * SUFFIX_SHARE)
        prefix_ids = prefix_window(prefix, encode, room - min(len(suffix_ids), suffix_room))
        spare = room - -(-len(prefix_ids) // STEP) * STEP
        kept = suffix_ids[: max(suffix_room, spare)]
        return assemble(self.fim, self.order, lead + prefix_ids, kept)

    def prefix_part(self, prompt_ids: Sequence[int]) -> tuple[int, int]:
        """Where the text before the cursor begins and ends among a prompt's ids."""
        if self.fim is None:
            return 0, len(prompt_ids)
        try:
            if self.order == "psm":
                return 1, prompt_ids.index(self.fim.suffix)
            return prompt_ids.index(self.fim.middle) + 1, len(prompt_ids)
        except ValueError:  # not a prompt of this format
            return 0, len(prompt_ids)


def prefix_window(prefix: str, encode: Encode, room: int) -> list[int]:
    """The last at most `room` tokens of `prefix`, from the end of a line on where it must be cut.

    The text is cut into segments at places that do not depend on what follows them, and whole
    segments are left out: typing moves the start of the window once in `STEP` tokens or so.
    """
    ids: list[int] = []
    end = len(prefix)
    while end > 0:
        start = _cut_before(prefix, end)
        segment = encode(prefix[start:end])
        if len(segment) + len(ids) > room:
            # A single segment that is too long (a minified line, or a small room) is cut inside, in
            # steps too.
            step = max(1, min(STEP, room) // 4)
            return ids or segment[-(-(len(segment) - room) // step) * step :]
        ids = segment + ids
        end = start
    return ids


def _cut_before(text: str, end: int) -> int:
    """The last place to cut `text` before `end`; 0 when there is none.

    There is one place in each stretch of `STEP * CHARACTERS_PER_TOKEN` characters: its first line
    end that follows a visible character (no pre-token of a byte-level BPE crosses it, so segments
    spell the same ids apart as together), else the stretch's own start.
    """
    stretch = STEP * CHARACTERS_PER_TOKEN
    for start in range((end - 1) // stretch * stretch, 0, -stretch):
        cut = start
        line_end = text.find("\n", start, start + stretch)
        while line_end > 0 and text[line_end - 1].isspace():
            line_end = text.find("\n", line_end + 1, start + stretch)
        if line_end > 0:
            cut = line_end
        if cut < end:
            return cut
    return 0
