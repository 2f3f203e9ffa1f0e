"""What every engine with a model and a tokenizer does, whatever computes its tokens."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from santa_lsp import EMBEDDED, models
from santa_lsp.completion.engine import Cost, EngineError, Limits, Piece, Stop
from santa_lsp.engines.local import LocalEngine, Token
from santa_lsp.models.speeds import Measurement
from tests.support.cursor import CURSOR, at_cursor

FOLDER = models.embedded_directory()
LONG = at_cursor("value = other(1)\n" * 400 + "x = " + CURSOR)
#: Short words, one token or more each.
WORDS = "".join(f"a{number} " for number in range(200))


class Recording(LocalEngine):
    """Says a text to every prompt; all but the last `left` tokens of a prompt are held."""

    def __init__(
        self,
        text: str,
        speed: Measurement | None = None,
        left: int = 10**6,
        folder: Path = FOLDER,
    ) -> None:
        model = dataclasses.replace(models.find(EMBEDDED), n_positions=4096, directory=folder)
        super().__init__(model, speed)
        self.says, self.left = self.encode(text), left
        self.prompts: list[list[int]] = []
        self.prepared: list[list[int]] = []

    def reusable(self, prompt_ids: Sequence[int]) -> int:
        return max(0, len(prompt_ids) - self.left)

    def prepare_tokens(self, prompt_ids: Sequence[int]) -> int:
        self.prepared.append(list(prompt_ids))
        return len(prompt_ids)

    def generate_tokens(
        self, prompt_ids: Sequence[int], limits: Limits, on_token: Callable[[Token], bool]
    ) -> int:
        self.prompts.append(list(prompt_ids))
        for candidate in range(limits.candidates):
            for token_id in self.says[: limits.new_tokens]:
                if on_token(Token(token_id, -0.5, candidate)):
                    break
        return self.reusable(prompt_ids)


def generated(
    engine: LocalEngine,
    limits: Limits,
    stop: Stop | None = None,
    on_piece: Callable[[Piece], object] = lambda piece: None,
) -> tuple[list[Piece], Cost]:
    pieces: list[Piece] = []

    def take(piece: Piece) -> bool:
        pieces.append(piece)
        on_piece(piece)
        return False

    return pieces, engine.generate(LONG, limits, take, stop or Stop())


def planned(speed: Measurement | None, left: int = 10**6) -> tuple[int, int]:
    """Tokens of the prompt, and how many new ones are allowed of 64, within 400 ms."""
    engine = Recording(WORDS, speed, left)
    pieces, cost = generated(engine, Limits(64, milliseconds=400))
    assert len(pieces) == cost.generated_tokens == cost.allowed_tokens
    return len(engine.prompts[0]), len(pieces)


def test_a_request_that_would_take_too_long_gets_a_shorter_prompt() -> None:
    whole, new = planned(None)
    assert whole > 1_000
    assert new == 64
    assert planned(Measurement(1, 1e6, 1e6)) == (whole, 64)
    short, new = planned(Measurement(1, 1_000, 100))
    assert 100 <= short <= 200  # half of the time
    assert 20 <= new <= 32  # the other half
    assert planned(Measurement(1, 1_000, 100), left=8) == (whole, 39)


def test_what_is_prepared_starts_as_the_next_prompt_does() -> None:
    engine = Recording(WORDS)
    generated(engine, Limits(8))
    engine.prepare(LONG, Stop())
    assert engine.prepared == engine.prompts


def test_a_cost_accounts_for_every_token_of_the_prompt() -> None:
    engine = Recording(WORDS, left=30)
    _, cost = generated(engine, Limits(8))
    assert cost.prefilled_tokens == 30
    assert cost.prefilled_tokens + cost.reused_tokens == len(engine.prompts[0])
    assert cost.generated_tokens == 8
    assert cost.prefill_ms >= 0
    assert cost.decode_ms >= 0
    assert not cost.stopped


def test_the_stop_signal_ends_it_at_the_next_token_and_before_the_first() -> None:
    engine, stop = Recording(WORDS), Stop()
    pieces, cost = generated(engine, Limits(8), stop, lambda piece: stop.set())
    assert len(pieces) == 1
    assert cost.stopped
    assert generated(engine, Limits(8), stop) == ([], Cost(stopped=True))
    assert len(engine.prompts) == 1
    assert engine.prepare(LONG, stop) == 0
    assert engine.prepared == []


def test_pieces_say_their_text_their_probability_and_their_candidate() -> None:
    text = 'print("é😀漢字", 123)\n\tx'
    pieces, _ = generated(Recording(text), Limits(64, candidates=2))
    assert {piece.log_prob for piece in pieces} == {-0.5}
    for candidate in (0, 1):
        texts = [piece.text for piece in pieces if piece.candidate == candidate]
        assert "".join(texts) == text
        assert all("\ufffd" not in each for each in texts)  # whole characters only


def test_the_languages_are_those_of_the_models_card() -> None:
    engine = Recording("")
    assert "python" in engine.languages


def test_a_marker_that_the_tokenizer_does_not_call_special_is_text_all_the_same(
    tmp_path: Path,
) -> None:
    tokenizer = json.loads((FOLDER / "tokenizer.json").read_text(encoding="utf-8"))
    for token in tokenizer["added_tokens"]:
        token["special"] = False
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    engine = Recording("", folder=tmp_path)
    assert not set(engine.stop_ids) & set(engine.encode("a = '<fim-middle><|endoftext|>'"))


def test_a_tokenizer_that_marks_no_end_of_text_is_refused(tmp_path: Path) -> None:
    tokenizer = (FOLDER / "tokenizer.json").read_text(encoding="utf-8")
    other = tokenizer.replace("<|endoftext|>", "<|end|>")
    (tmp_path / "tokenizer.json").write_text(other, encoding="utf-8")
    with pytest.raises(EngineError, match=r"no <\|endoftext\|> token"):
        Recording("", folder=tmp_path)
