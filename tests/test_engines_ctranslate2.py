from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from santa_lsp.completion.engine import Limits
from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from santa_lsp.engines.local import Token

ROOT = Path(__file__).parents[1]


def generated(engine: CTranslate2Engine, text: str, most: int, stop_at: int = 1000) -> list[Token]:
    tokens: list[Token] = []

    def on_token(token: Token) -> bool:
        tokens.append(token)
        return len(tokens) >= stop_at

    engine.generate_tokens(engine.encode(text), Limits(most), on_token)
    return tokens


def test_greedy_generation_is_the_same_each_time(engine: CTranslate2Engine) -> None:
    first = generated(engine, "import os\nimport ", 8)
    assert first == generated(engine, "import os\nimport ", 8)
    assert 0 < len(first) <= 8
    assert all(token.log_prob < 0 for token in first)


def test_generation_stops_at_once_when_told(engine: CTranslate2Engine) -> None:
    whole = generated(engine, "import os\nimport ", 8)
    assert generated(engine, "import os\nimport ", 8, stop_at=2) == whole[:2]


def test_sampling_differs_and_greedy_does_not(engine: CTranslate2Engine) -> None:
    seen = set()
    for _ in range(8):
        tokens: list[int] = []
        engine.generate_tokens(
            engine.encode("x = "),
            Limits(6, temperature=1.5),
            lambda token, tokens=tokens: bool(tokens.append(token.id)),  # type: ignore[misc]
        )
        seen.add(tuple(tokens))
    assert len(seen) > 1


def test_candidates_begin_with_the_likeliest_first_tokens(engine: CTranslate2Engine) -> None:
    greedy = generated(engine, "import os\nimport ", 5)
    seen: list[list[Token]] = [[], [], []]

    def on_token(token: Token) -> bool:
        seen[token.candidate].append(token)
        return token.candidate == 1 and len(seen[1]) == 2

    def keep(token: Token) -> bool:
        whole[token.candidate].append(token.id)
        return False

    whole: list[list[int]] = [[], [], []]
    prompt_ids = engine.encode("import os\nimport ")
    engine.generate_tokens(prompt_ids, Limits(5, candidates=3), keep)
    engine.generate_tokens(prompt_ids, Limits(5, candidates=3), on_token)
    assert [token.id for token in seen[0]] == [token.id for token in greedy]
    # Stop tokens are no candidates: the first tokens share out their probability.
    assert seen[0][0].log_prob >= greedy[0].log_prob - 0.05
    assert [token.log_prob for token in seen[0][1:]] == pytest.approx(
        [token.log_prob for token in greedy[1:]], abs=0.05
    )
    firsts = [tokens[0] for tokens in seen]
    assert len({token.id for token in firsts}) == 3
    assert firsts == sorted(firsts, key=lambda token: -token.log_prob)
    assert len(seen[1]) == 2  # stopped alone
    assert [token.id for token in seen[2]] == whole[2]


def test_more_than_n_positions_is_refused(engine: CTranslate2Engine) -> None:
    with pytest.raises(ValueError, match="n_positions"):
        engine.generate_tokens([5] * engine.n_positions, Limits(1), lambda token: True)


def test_an_error_of_the_caller_comes_back_to_the_caller(engine: CTranslate2Engine) -> None:
    def fail(token: Token) -> bool:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        engine.generate_tokens(engine.encode("import os\nimport "), Limits(4), fail)
    assert generated(engine, "x = ", 2)  # and the engine still works


@pytest.mark.parametrize("kept", ["local", "global"])
def test_a_process_that_used_the_model_ends_well(kept: str) -> None:
    """CTranslate2 aborts the process when its threads outlive the interpreter."""
    script = f"""
from santa_lsp.engines import load_engine
from santa_lsp.completion.engine import Limits
from santa_lsp.settings import Settings
def use():
    engine = load_engine(Settings(threads=1))
    engine.generate_tokens([7, 8, 9], Limits(4), lambda token: False)
    return engine
{"engine = use()" if kept == "global" else "use()"}
"""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True)
        assert done.returncode == 0, done.stderr
