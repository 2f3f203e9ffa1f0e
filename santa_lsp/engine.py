"""What the completer needs of a model, whichever library computes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from santa_lsp.prompt import FimIds, Order


@dataclass(frozen=True, slots=True)
class Token:
    """One generated token. `log_prob` is natural, of the model's own distribution."""

    id: int
    log_prob: float


@dataclass(frozen=True, slots=True)
class GenerationParameters:
    """`temperature` 0 is greedy; otherwise sampling from the `top_p` nucleus."""

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, not {self.max_new_tokens}")


class EngineError(Exception):
    """The model cannot be loaded or failed while generating; says what to do."""


class TextStream(Protocol):
    """Turns generated ids into text as they come; a character is given out once it is whole."""

    def step(self, token_id: int) -> str: ...


class Engine(Protocol):
    """A loaded model. Calls may come from any thread, one at a time.

    `notice` is what the user should know of how it was loaded; empty when all is well.
    """

    n_positions: int
    fim: FimIds | None
    order: Order
    end_of_text: int
    notice: str

    def encode(self, text: str) -> list[int]:
        """Ids of plain text: never a special token, whatever the text spells."""
        ...

    def text_stream(self) -> TextStream: ...

    def generate(
        self,
        prompt_ids: Sequence[int],
        parameters: GenerationParameters,
        on_token: Callable[[Token], bool],
    ) -> int:
        """Generate until end-of-text, `max_new_tokens`, or `on_token` returns True.

        The whole prompt is given; what to reuse of earlier calls is the engine's own business.
        Returns how many of the prompt's tokens it did not have to compute.
        End-of-text is not reported. `len(prompt_ids) + max_new_tokens` must not exceed
        `n_positions` (ValueError). Raises EngineError when the computation fails.
        """
        ...
