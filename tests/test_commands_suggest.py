"""Which published models a machine is told to take."""

from __future__ import annotations

import math

import pytest

from santa_lsp.commands.main import main
from santa_lsp.commands.suggest import best, measure_shape, suggest
from santa_lsp.models.catalogue import APACHE, QWEN_RESEARCH, KnownModel, Licence, Shape
from santa_lsp.models.speeds import Measurement

SMALL, LARGE, HUGE = (Shape(2, width, 4 * width, 4, 2) for width in (64, 128, 256))


def known(name: str, shape: Shape, licence: Licence = APACHE, fim: int | None = 50) -> KnownModel:
    return KnownModel(f"org/{name}", shape.n_embd * 1e6, ("many",), licence, shape, fim)


def measure(shape: Shape, parameters: float) -> Measurement:
    """Twice as wide, twice as slow."""
    return Measurement(2, 32_000 / shape.n_embd, 6_400 / shape.n_embd)


def test_models_are_ordered_by_the_time_of_a_key_on_this_machine() -> None:
    found = suggest(measure, [known("b", LARGE), known("a", SMALL)], memory=0)
    assert [each.model.hub_id for each in found] == ["org/a", "org/b"]
    # 48 tokens read and 16 written.
    assert found[0].key_ms == pytest.approx(48 / 500 * 1000 + 16 / 100 * 1000)
    assert found[0].verdict(300) == "answers in time"
    assert "slow" in found[0].verdict(100)
    assert "GPU" in found[0].verdict(50)


def test_a_model_that_does_not_fit_the_memory_is_not_measured() -> None:
    asked: list[Shape] = []

    def counting(shape: Shape, parameters: float) -> Measurement:
        asked.append(shape)
        return measure(shape, parameters)

    models = [known("small", SMALL), known("again", SMALL), known("huge", HUGE)]
    found = suggest(counting, models, memory=400_000_000)
    assert asked == [SMALL]
    assert found[-1].model.hub_id == "org/huge"
    assert found[-1].key_ms == math.inf
    assert "memory" in found[-1].verdict(10_000)


def test_the_best_is_right_most_often_among_those_that_may_be_used_and_answer_in_time() -> None:
    models = [
        known("weak", SMALL, fim=40),
        known("good", SMALL, fim=60),
        known("research", SMALL, QWEN_RESEARCH, fim=90),
        known("slow", HUGE, fim=95),
    ]
    found = suggest(measure, models, memory=0)
    taken = best(found, 400)
    assert taken is not None
    assert taken.model.hub_id == "org/good"
    assert best(found, 10) is None


def test_a_shape_is_measured_by_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("santa_lsp.commands.suggest.MEASURED", 1e5)
    for shape in (SMALL, Shape(2, 64, 256, 4, 1, gated=False)):
        few, many = (measure_shape(shape, parameters) for parameters in (1e6, 1e8))
        assert few.decode_tokens_per_second > many.decode_tokens_per_second > 0
        assert few.prefill_tokens_per_second > many.prefill_tokens_per_second > 0


def test_research_only_licences_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["models", "list"])
    lines = capsys.readouterr().out.splitlines()
    (line,) = (line for line in lines if "Qwen2.5-Coder-3B" in line)
    assert "research only" in line
