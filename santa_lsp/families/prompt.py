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

from santa_lsp.completion.context import CompletionContext

Order = Literal["psm", "spm"]
Encode = Callable[[str], list[int]]

#: Share of the prompt given to the text after the cursor when both sides are long.
SUFFIX_SHARE = 0.25
#: Real code has fewer characters than this to a token, so text further away is never tokenized.
CHARACTERS_PER_TOKEN = 6
#: Languages that our models know under the name of another, in a path comment.
_TAUGHT_AS = {
    "javascriptreact": "javascript",
    "typescript": "javascript",
    "typescriptreact": "javascript",
}
#: Windows move in steps of this many tokens, so that they stand still while one types.
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


def path_comment(language: str, path: str) -> str:
    """The line of language, folder and file that some models were taught to see before the text.

    `# python models/query.py`: the end of a path says what a file is about, is the same on every
    machine, and does not tell whose it is. Without a path the language stands alone.
    """
    name = "/".join(part for part in re.split(r"[\\/]+", path) if part)
    shown = "/".join(name.split("/")[-2:])
    marker = "#" if language == "python" else "//"
    return f"{marker} {_TAUGHT_AS.get(language, language)} {shown}".rstrip() + "\n"


def build(
    context: CompletionContext,
    encode: Encode,
    fim: FimIds | None,
    order: Order,
    budget: int,
    with_path: bool = False,
) -> list[int]:
    """The prompt of at most `budget` tokens for a context.

    The suffix gets at most `SUFFIX_SHARE` of the budget and the prefix the rest; what one side does
    not need goes to the other. Both windows stand still while text is typed at the cursor and then
    move by a step, so that an engine can reuse what it computed for the last keystroke. A model
    without fill-in-the-middle tokens sees the prefix alone. `with_path` puts the path comment
    before the prefix, unless that would take more than an eighth of the room.

    Raises ValueError when `budget` leaves no room for text.
    """
    room = budget - 3 if fim else budget
    if room < 1:
        raise ValueError(f"a prompt budget of {budget} tokens leaves no room for text")
    lead = encode(path_comment(context.language, context.path)) if with_path else []
    lead = lead if len(lead) * 8 <= room else []
    room -= len(lead)
    if fim is None:
        return lead + prefix_window(context.prefix, encode, room)
    suffix_ids = encode(context.suffix[: room * CHARACTERS_PER_TOKEN])
    suffix_room = int(room * SUFFIX_SHARE)
    prefix_ids = prefix_window(context.prefix, encode, room - min(len(suffix_ids), suffix_room))
    spare = room - -(-len(prefix_ids) // STEP) * STEP
    return assemble(fim, order, lead + prefix_ids, suffix_ids[: max(suffix_room, spare)])


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
