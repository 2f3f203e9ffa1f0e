"""Prompt forms: in which order, and between which tokens, a model sees both sides of the cursor.

A form is found among the tokens that a tokenizer has and what the model's files say of them. It is
written into the model's card, so that serving needs no code of a family.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

TokenToId = Callable[[str], int | None]

#: Parts of a prompt. The first two are text, the others single tokens.
PREFIX, SUFFIX = "prefix", "suffix"
FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE = "fim_prefix", "fim_suffix", "fim_middle"
#: Tokens that stand in no prompt of one file: padding, the name of a repository, of a file.
FIM_PAD, REPOSITORY, FILE = "fim_pad", "repository", "file"

Order = tuple[str, ...]
PSM: Order = (FIM_PREFIX, PREFIX, FIM_SUFFIX, SUFFIX, FIM_MIDDLE)
#: Variant 2 of Bavarian et al. 2022 (arXiv:2207.14255).
SPM: Order = (FIM_PREFIX, FIM_SUFFIX, SUFFIX, FIM_MIDDLE, PREFIX)
#: Each side after its own token (variant 1 of the same, and Mellum, Seed-Coder).
SUFFIX_FIRST: Order = (FIM_SUFFIX, SUFFIX, FIM_PREFIX, PREFIX, FIM_MIDDLE)
WITHOUT_MIDDLE: Order = (FIM_SUFFIX, SUFFIX, FIM_PREFIX, PREFIX)


class Mark(NamedTuple):
    """A token of the form, as the tokenizer spells and numbers it."""

    token: str
    id: int


@dataclass(frozen=True, slots=True)
class PromptForm:
    """How a model was taught to fill in the middle; the completion follows the prompt."""

    name: str
    order: Order
    marks: Mapping[str, Mark]  # by part; all that `order` has, and those around files if known

    def assemble(self, prefix_ids: Sequence[int], suffix_ids: Sequence[int]) -> list[int]:
        """The ids that the model sees before the middle."""
        texts = {PREFIX: prefix_ids, SUFFIX: suffix_ids}
        ids: list[int] = []
        for part in self.order:
            ids.extend(texts[part] if part in texts else (self.marks[part].id,))
        return ids

    @property
    def overhead(self) -> int:
        """Tokens that a prompt has beside the text."""
        return len(self.order) - 2

    @property
    def prefix_is_last(self) -> bool:
        """Whether text typed at the cursor only adds to the end of the prompt."""
        return self.order[-1] == PREFIX

    @property
    def pad(self) -> int:
        """Id of the token that fills up a row, and carries no loss.

        Without one of its own that is the form's first token, which starts every example.
        """
        return self.marks[FIM_PAD if FIM_PAD in self.marks else self.order[0]].id

    @property
    def order_name(self) -> str:
        """psm, spm, or the name of a form that has one order alone."""
        return next((name for name, order in ORDERS.items() if order == self.order), self.name)

    def with_order(self, order: str) -> PromptForm:
        """The same tokens in the order "psm" or "spm"."""
        return dataclasses.replace(self, order=ORDERS[order])

    def prefix_bounds(self, prompt_ids: Sequence[int]) -> tuple[int, int]:
        """Where the text before the cursor starts and ends in a prompt of `assemble`.

        Raises ValueError when it is no such prompt.
        """
        at = self.order.index(PREFIX)
        start = prompt_ids.index(self.marks[self.order[at - 1]].id) + 1
        if self.prefix_is_last:
            return start, len(prompt_ids)
        return start, prompt_ids.index(self.marks[self.order[at + 1]].id, start)

    def to_json(self) -> dict[str, Any]:
        """For the card: without ids, which are the tokenizer's to know."""
        tokens = {part: mark.token for part, mark in self.marks.items()}
        return {"form": self.name, "order": list(self.order), "tokens": tokens}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], token_to_id: TokenToId) -> PromptForm:
        """Raises ValueError when the card is damaged, or of another tokenizer."""
        try:
            order = tuple(str(part) for part in values["order"])
            marks = _marks(values["tokens"], token_to_id)
            form = cls(str(values["form"]), order, marks)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"the prompt format is damaged ({error!r})") from error
        texts = [part for part in order if part in (PREFIX, SUFFIX)]
        lacking = set(order) - {PREFIX, SUFFIX} - marks.keys()
        if sorted(texts) != [PREFIX, SUFFIX] or order[0] == PREFIX or lacking:
            raise ValueError(f"the prompt format is damaged (order {list(order)})")
        return form


def _marks(tokens: Mapping[str, str], token_to_id: TokenToId) -> dict[str, Mark]:
    marks = {}
    for part, token in tokens.items():
        number = token_to_id(token)
        if number is None:
            raise ValueError(f"the tokenizer has no token {token!r}")
        marks[part] = Mark(token, number)
    return marks


class _Spelling(NamedTuple):
    """Tokens that tell a form; of those around files the first that the tokenizer has counts."""

    name: str
    order: Order
    fim: tuple[str, ...]  # before the prefix, before the suffix, before the middle
    others: Mapping[str, tuple[str, ...]]


_UNDERSCORES = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>")
_STARCODER_OTHERS = {
    FIM_PAD: ("<fim_pad>",),
    REPOSITORY: ("<repo_name>", "<reponame>"),
    FILE: ("<file_sep>", "<filename>"),
}
MELLUM = "mellum"
_SPELLINGS = (
    _Spelling(
        "qwen",
        PSM,
        ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
        {FIM_PAD: ("<|fim_pad|>",), REPOSITORY: ("<|repo_name|>",), FILE: ("<|file_sep|>",)},
    ),
    _Spelling(
        "santacoder",
        SPM,
        ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
        {FIM_PAD: ("<fim-pad>",)},
    ),
    _Spelling(MELLUM, SUFFIX_FIRST, _UNDERSCORES, _STARCODER_OTHERS),
    _Spelling("starcoder", PSM, _UNDERSCORES, _STARCODER_OTHERS),
    _Spelling("deepseek", PSM, ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"), {}),
    _Spelling(
        "seed-coder", SUFFIX_FIRST, ("<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>"), {}
    ),
    _Spelling("codestral", WITHOUT_MIDDLE, ("[PREFIX]", "[SUFFIX]"), {}),
)
ORDERS = {"psm": PSM, "spm": SPM}
#: Tokens that end a text in models whose files do not say which does.
_ENDS = ("<|end_of_text|>", "<｜end▁of▁sentence｜>", "<[end▁of▁sentence]>", "</s>")
_END_OF_TEXT = "<|endoftext|>"


def find_form(token_to_id: TokenToId, metadata: Mapping[str, Any]) -> PromptForm | None:
    """The form of a model; None when it has no tokens for one and sees the prefix alone.

    `metadata` says what the model's files do: `fim_prefix`, `fim_suffix`, `fim_middle`, `fim_pad`,
    `repository` and `file` are tokens, `fim_order` is psm or spm, `name` what the model is called,
    `pre_tokenizer` its pre-tokenizer's name, and `prompt_format` the form itself, as a card has it.
    All may be missing. Raises ValueError when one of them names no token of the tokenizer.
    """
    if metadata.get("prompt_format"):
        return PromptForm.from_json(metadata["prompt_format"], token_to_id)
    said = {part: metadata[part] for part in _PARTS if metadata.get(part)}
    for spelling in _SPELLINGS:
        tokens = dict(zip((FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE), spelling.fim, strict=False))
        if any(token_to_id(token) is None for token in spelling.fim):
            continue
        if any(said.get(part, token) != token for part, token in tokens.items()):
            continue
        if spelling.name == MELLUM and not _is_mellum(metadata):
            continue
        for part, choices in spelling.others.items():
            token = next((each for each in choices if token_to_id(each) is not None), None)
            if token is not None:
                tokens[part] = token
        order = spelling.order
        if order in (PSM, SPM):
            order = ORDERS.get(str(metadata.get("fim_order")), order)
        return PromptForm(spelling.name, order, _marks({**tokens, **said}, token_to_id))
    if {FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE} <= said.keys():
        # Tokens of another spelling: llama.cpp sends them in this order, whatever the model.
        return PromptForm("metadata", PSM, _marks(said, token_to_id))
    return None


_PARTS = (FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE, FIM_PAD, REPOSITORY, FILE)


def _is_mellum(metadata: Mapping[str, Any]) -> bool:
    """Mellum has StarCoder's tokens in an order of its own; only its files' names tell."""
    said = (metadata.get("name"), metadata.get("pre_tokenizer"))
    return any(MELLUM in str(each).lower() for each in said)


def find_stop_tokens(
    token_to_id: TokenToId, metadata: Mapping[str, Any], form: PromptForm | None
) -> tuple[str, ...]:
    """Tokens that end a completion, end-of-text first; empty when the tokenizer has none.

    `metadata` may have `end_tokens`. The form's tokens end it too: no file has them in its text.
    """
    said = [_END_OF_TEXT, *metadata.get("end_tokens", ())]
    ends = [token for token in said if token_to_id(token) is not None]
    ends = ends or [token for token in _ENDS if token_to_id(token) is not None][:1]
    marks = [mark.token for mark in form.marks.values()] if form else []
    return tuple(dict.fromkeys(ends + marks)) if ends else ()
