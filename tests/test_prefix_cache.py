"""What is reused between keystrokes: the same answers with less work, within its memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from santa_lsp import EMBEDDED, models
from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import Limits
from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from santa_lsp.engines.local import Token
from santa_lsp.families.forms import ORDERS
from tests.support.cursor import CURSOR, at_cursor

BEFORE = "".join(f"def value_{i}(self, a):\n    return self.a[{i}] + a\n\n" for i in range(24))
AFTER = "\n\n\ndef main():\n    for item in items:\n        print(item)\n" * 6
LIMITS = Limits(6)


def load(order: str = "spm", **options: Any) -> CTranslate2Engine:
    """The embedded model, as if its card said that order."""
    model = models.find(EMBEDDED)
    assert model.prompt_format is not None
    said = {**model.prompt_format, "order": list(ORDERS[order])}
    return CTranslate2Engine(
        replace(model, card={**model.card, "prompt_format": said}), threads=1, **options
    )


@pytest.fixture
def reusing() -> CTranslate2Engine:
    return load()


def prompt_of(engine: CTranslate2Engine, text: str) -> list[int]:
    return engine.prompt(at_cursor(text), engine.n_positions - LIMITS.new_tokens)


def generated(
    engine: CTranslate2Engine, ids: list[int], limits: Limits = LIMITS
) -> tuple[list[Token], int]:
    """The tokens, and how many of the prompt's were reused."""
    tokens: list[Token] = []
    reused = engine.generate_tokens(ids, limits, lambda token: bool(tokens.append(token)))
    return tokens, reused


def assert_same(tokens: list[Token], others: list[Token]) -> None:
    """The same tokens and probabilities; where two tokens are as likely, either may be chosen."""
    for token, other in zip(tokens, others, strict=True):
        assert token.log_prob == pytest.approx(other.log_prob, abs=1e-3)
        if token.id != other.id:
            return


def test_a_keystroke_computes_only_what_comes_after_the_cached_prefix(
    reusing: CTranslate2Engine,
) -> None:
    typed = "    result = self.total(values)"
    assert generated(reusing, prompt_of(reusing, BEFORE + "\n" + CURSOR + AFTER))[1] == 0
    for length in range(1, len(typed) + 1):
        ids = prompt_of(reusing, BEFORE + "\n" + typed[:length] + CURSOR + AFTER)
        reused = generated(reusing, ids)[1]
        assert len(ids) - reused <= 1 + len(reusing.encode("\n" + typed[:length]))


def test_what_was_typed_since_is_cached_while_nobody_waits(reusing: CTranslate2Engine) -> None:
    generated(reusing, prompt_of(reusing, BEFORE + CURSOR + AFTER))
    typed = "".join(f"\nvalue = other + {i}" for i in range(6))
    ids = prompt_of(reusing, BEFORE + typed + CURSOR + AFTER)
    before = reusing.reusable(ids)
    assert reusing.prepare_tokens(ids) > before
    assert reusing.reusable(ids) >= len(ids) - len(reusing.encode("\nvalue = other + 5"))
    assert reusing.prepare_tokens(ids) == 0  # once is enough


def test_a_bracket_that_an_editor_closes_by_itself_does_not_undo_the_prefix(
    reusing: CTranslate2Engine,
) -> None:
    """`(` puts a `)` after the cursor, and so at another start of the prompt: both are kept."""
    texts = [
        f"x = f{CURSOR}\n",
        f"x = f({CURSOR})\n",
        f"x = f(a){CURSOR}\n",
        f"x = f(a)(b{CURSOR})\n",
    ]
    asked = [prompt_of(reusing, BEFORE + text + AFTER) for text in texts]
    reused = [generated(reusing, ids)[1] for ids in asked]
    assert reused[0] == reused[1] == 0
    assert min(reused[2:]) > len(asked[0]) - 20


@pytest.mark.parametrize("order", ["psm", "spm"])
def test_both_orders_reuse_what_stands_before_the_cursor(order: str) -> None:
    engine = load(order)
    for text in ("x = ", "x = val"):
        ids = prompt_of(engine, BEFORE + text + CURSOR + "\n")
        reused = generated(engine, ids)[1]
    assert len(ids) - reused <= 12


@dataclass
class Editor:
    """Two documents with a cursor each, as lists of characters before and after it."""

    texts: list[tuple[str, str]] = field(
        default_factory=lambda: [(BEFORE[:500], AFTER[:200]), (AFTER, BEFORE[:300])]
    )
    at: int = 0
    undo: list[tuple[int, str, str]] = field(default_factory=list)

    def act(self, kind: str, text: str, amount: int) -> CompletionContext:
        if kind == "undo" and self.undo:
            self.at, *before = self.undo.pop()
            self.texts[self.at] = (before[0], before[1])
        elif kind == "switch":
            self.at = 1 - self.at
        else:
            prefix, suffix = self.texts[self.at]
            self.undo.append((self.at, prefix, suffix))
            if kind == "type":
                prefix += text
            elif kind == "delete":
                prefix = prefix[: max(0, len(prefix) - amount)]
            elif kind == "jump":
                whole = prefix + suffix
                place = amount * 37 % (len(whole) + 1)
                prefix, suffix = whole[:place], whole[place:]
            elif kind == "edit above":
                place = amount * 17 % (len(prefix) + 1)
                prefix = prefix[:place] + text + prefix[place:]
            self.texts[self.at] = (prefix, suffix)
        prefix, suffix = self.texts[self.at]
        return CompletionContext("python", "a.py", prefix, suffix)


ACTIONS = st.tuples(
    st.sampled_from(["type", "type", "type", "delete", "jump", "edit above", "undo", "switch"]),
    st.sampled_from(["a", "self.", "(", "\n", "\n    ", " = value_1", "é", "  ", "\n\n\n", "12"]),
    st.integers(0, 60),
    st.booleans(),
)


#: An engine for each order.
Engines = Callable[[str], CTranslate2Engine]


@pytest.fixture(scope="module")
def small_memory() -> Engines:
    """Engines that have to drop their cached prefixes again and again.

    They compute in float32: int8 rounds, and a difference in the last bit of a sum, which depends
    on how many tokens are computed at a time, becomes one in the third digit.
    """
    return cache(lambda order: load(order, compute_type="float32", prefix_cache_bytes=2_000_000))


@settings(max_examples=6, deadline=None, phases=[Phase.generate])  # shrinking takes minutes
@given(actions=st.lists(ACTIONS, min_size=4, max_size=12), order=st.sampled_from(["psm", "spm"]))
def test_reuse_never_changes_an_answer(
    small_memory: Engines, actions: list[tuple[str, str, int, bool]], order: str
) -> None:
    check_edits(small_memory(order), actions)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, phases=[Phase.generate])
@given(actions=st.lists(ACTIONS, min_size=8, max_size=40), order=st.sampled_from(["psm", "spm"]))
def test_reuse_never_changes_an_answer_in_long_sessions(
    small_memory: Engines, actions: list[tuple[str, str, int, bool]], order: str
) -> None:
    check_edits(small_memory(order), actions)


def check_edits(engine: CTranslate2Engine, actions: list[tuple[str, str, int, bool]]) -> None:
    """After each edit, and after idle time where there was some, the answer is as without reuse."""
    editor = Editor()
    for kind, text, amount, rests in actions:
        context = editor.act(kind, text, amount)
        ids = engine.prompt(context, engine.n_positions - LIMITS.new_tokens)
        expected, _ = generated(engine, ids, replace(LIMITS, reuse=False))
        assert_same(generated(engine, ids)[0], expected)
        if rests:
            engine.prepare_tokens(ids)
            assert_same(generated(engine, ids)[0], expected)
        assert 0 <= engine.cache_counts.bytes <= 2_000_000


def test_memory_stays_within_the_budget_and_is_given_back() -> None:
    engine = load(prefix_cache_bytes=3_000_000)
    for number in range(40):
        ids = prompt_of(engine, f"# {number}\n" + BEFORE[:1000] + CURSOR + "\n")
        if number % 2:
            engine.prepare_tokens(ids)
        else:
            generated(engine, ids)
        assert engine.cache_counts.bytes <= 3_000_000
    counts = engine.cache_counts
    assert counts.dropped > 0
    assert counts.built > counts.dropped


def test_no_memory_means_no_reuse() -> None:
    engine = load(prefix_cache_bytes=0)
    ids = prompt_of(engine, BEFORE + CURSOR)
    assert [generated(engine, ids)[1] for _ in range(2)] == [0, 0]
    assert engine.prepare_tokens(ids) == 0
    assert engine.cache_counts.built == 0


#: In a process of its own: what others have given back would be used first.
GROW = """
from santa_lsp import models
from santa_lsp.engines.ctranslate2 import CTranslate2Engine

def resident():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
    return 1024 * int(line.split()[1])

engine = CTranslate2Engine(models.find("santa-mini"), threads=1)
form = engine.format.form
ids = engine.encode("value = other(1)\\n" * 200)[:440]
for number in range(-8, 60):
    if number == 0:
        before, counted = resident(), engine.cache_counts.bytes
    prompt = form.assemble(ids, [number + 300])
    engine.prepare_tokens(prompt)
print(resident() - before, engine.cache_counts.bytes - counted)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_memory_is_counted_as_it_is_used() -> None:
    """The resident set grows by what is counted, give or take what the allocator keeps."""
    done = subprocess.run([sys.executable, "-c", GROW], capture_output=True, text=True, check=True)
    grown, counted = map(int, done.stdout.split())
    assert counted > 40_000_000
    assert 0.6 * counted < grown < 1.5 * counted
