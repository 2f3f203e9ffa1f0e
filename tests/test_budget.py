from __future__ import annotations

from santa_lsp.engines.budget import LEAST_PROMPT, Budget
from santa_lsp.models.speeds import LINE, Measurement


def test_a_fast_model_may_read_and_write_all_there_is() -> None:
    budget = Budget(Measurement(1, 20_000, 1_000), 400)
    assert budget.prefill_tokens == 4_000
    assert budget.new_tokens(0) == 400
    assert budget.new_tokens(4_000) == 200


def test_a_slow_model_gets_what_makes_sense_at_least() -> None:
    budget = Budget(Measurement(2, 200, 10), 400)
    assert budget.prefill_tokens == LEAST_PROMPT
    assert budget.new_tokens(128) == budget.new_tokens(0) == LINE
