"""A prompt form whose tokens are no characters, for tests with a character a token."""

from __future__ import annotations

from santa_lsp.families.forms import (
    FIM_MIDDLE,
    FIM_PAD,
    FIM_PREFIX,
    FIM_SUFFIX,
    ORDERS,
    Mark,
    PromptForm,
)

#: Characters for private use: no text of a test has them.
PREFIX, MIDDLE, SUFFIX, PAD, END = (0x10FF00 + number for number in range(5))
FORM = PromptForm(
    "test",
    ORDERS["spm"],
    {
        FIM_PREFIX: Mark("<fim-prefix>", PREFIX),
        FIM_SUFFIX: Mark("<fim-suffix>", SUFFIX),
        FIM_MIDDLE: Mark("<fim-middle>", MIDDLE),
        FIM_PAD: Mark("<fim-pad>", PAD),
    },
)


def locate_characters(text: str) -> tuple[list[int], list[int]]:
    """`LocalEngine.locate` with a character a token."""
    return [ord(character) for character in text], list(range(len(text)))
