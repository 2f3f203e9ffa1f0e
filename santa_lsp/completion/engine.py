"""What the completer needs of a model, whichever library computes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from santa_lsp.engines.budget import Speed
from santa_lsp.families.prompt import FimIds, Order


@dataclass(frozen=True, slots=True)
class Token:
    """One generated token. `log_prob` is natural, of the model's own distribution."""

    id: int
    log_prob: float
    candidate: int = 0


@dataclass(frozen=True, slots=True)
class GenerationParameters:
    """`temperature` 0 is greedy; otherwise sampling from the `top_p` nucleus.

    `candidates` above 1 generates that many at a time, which begin with the likeliest first tokens.
    `reuse` False computes everything anew and keeps nothing, for measurements.
    """

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    candidates: int = 1
    reuse: bool = True

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, not {self.max_new_tokens}")


@dataclass(slots=True)
class AnchorCounts:
    """What is kept for reuse: memory in bytes now, anchors built and dropped since the start."""

    bytes: int = 0
    built: int = 0
    dropped: int = 0


class EngineError(Exception):
    """The model cannot be loaded or failed while generating; says what to do."""


class TextStream(Protocol):
    """Turns generated ids into text as they come; a character is given out once it is whole."""

    def step(self, token_id: int) -> str: ...


class Engine(Protocol):
    """A loaded model. Calls may come from two threads at a time: one for requests that somebody
    waits for, one for what is computed ahead of them.

    `path_comment` says whether the model was taught to see `santa_lsp.prompt.path_comment`.
    `notice` is what the user should know of how it was loaded; empty when all is well. `speed` was
    measured on this machine; None if it never was.
    """

    n_positions: int
    fim: FimIds | None
    order: Order
    path_comment: bool
    end_of_text: int
    notice: str
    speed: Speed | None

    def encode(self, text: str) -> list[int]:
        """Ids of plain text: never a special token, whatever the text spells."""
        ...

    def text_stream(self) -> TextStream: ...

    def reusable(self, prompt_ids: Sequence[int]) -> int:
        """How many of the prompt's first tokens `generate` would not have to compute."""
        ...

    def prepare(self, prompt_ids: Sequence[int]) -> int:
        """Compute ahead what makes prompts that start like this one cheap, where it is worth it.

        Nobody should be waiting: it can be neither stopped nor hurried. Returns how many tokens
        were computed. Raises EngineError.
        """
        ...

    def anchor_counts(self) -> AnchorCounts: ...

    def generate(
        self,
        prompt_ids: Sequence[int],
        parameters: GenerationParameters,
        on_token: Callable[[Token], bool],
    ) -> int:
        """Generate until end-of-text, `max_new_tokens`, or `on_token` returns True.

        The whole prompt is given; what to reuse of earlier calls is the engine's own business.
        Of several candidates True ends the token's own. Returns how many of the prompt's tokens it
        did not have to compute.
        End-of-text is not reported. `len(prompt_ids) + max_new_tokens` must not exceed
        `n_positions` (ValueError). Raises EngineError when the computation fails.
        """
        ...
