from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santa_lsp.completion.cache import CompletionCache
from santa_lsp.completion.completer import Completer, Outcome, wants_lines
from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import Engine, Limits, Piece, Stop
from santa_lsp.completion.filters import Drop
from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from santa_lsp.settings import Settings
from tests.support.cursor import Complete, at_cursor, check
from tests.support.scripted_engine import ScriptedEngine

#: With the probability that minConfidence is compared with.
SURE, UNSURE = math.log(0.9), math.log(0.1)


def completer(engine: Engine, **settings: object) -> Completer:
    return Completer(engine, Settings(**settings), CompletionCache())  # type: ignore[arg-type]


def completed(log_prob: float = SURE, **settings: object) -> Complete:
    """Completes with an engine that says the text."""

    def complete(says: str, context: CompletionContext) -> str | Drop:
        outcome = completer(ScriptedEngine(says, log_prob=log_prob), **settings).complete(context)
        return outcome.texts[0] if outcome.texts else Drop(outcome.reason)

    return complete


def shown(engine: Engine, text: str, **settings: object) -> tuple[Outcome, list[str]]:
    """The outcome of an automatic request, and what was streamed before it."""
    streamed: list[str] = []
    outcome = completer(engine, **settings).complete(at_cursor(text), on_text=streamed.append)
    return outcome, streamed


def test_a_line_ends_where_its_line_ends() -> None:
    check(completed(), "total = ║", "a + b\nprint(1)", "total = a + b║")


def test_a_block_ends_where_its_block_ends() -> None:
    says = "\n    c = a\n    return c\n\n\ndef other():\n    pass\n"
    check(completed(), "def f(a):║", says, "def f(a):\n    c = a\n    return c║")


@pytest.mark.parametrize(
    ("text", "says", "computed"),
    [
        ("total = ║", "a + b\nprint(1)", "a + b\n"),
        ("def f(║)", "self, name):\n    pass", "self, name)"),
        ("if x:║", "\n    y\nz = 1\nw = 2\n", "\n    y\nz"),
    ],
)
def test_nothing_is_computed_that_would_be_cut_away(text: str, says: str, computed: str) -> None:
    engine = ScriptedEngine(says)
    completer(engine).complete(at_cursor(text))
    assert engine.said == computed


def test_a_line_that_was_cut_off_is_left_out() -> None:
    says = "\n    first = 1\n    second = something_lo"
    cut_off = completed(max_new_tokens=len(says))
    check(cut_off, "def f():║", says, "def f():\n    first = 1║")


@pytest.mark.parametrize(
    ("multiline", "after"), [("never", "x = a║"), ("always", "x = a\nb║"), ("auto", "x = a║")]
)
def test_the_multiline_setting(multiline: str, after: str) -> None:
    check(completed(multiline=multiline), "x = ║", "a\nb\n", after)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("def f():║", True),
        ("if (a) {  ║", True),
        ("    ║\n", True),
        ("x = ║", False),
        ("f(║)", False),
    ],
)
def test_auto_takes_lines_only_where_a_block_begins(text: str, lines: bool) -> None:
    assert wants_lines(at_cursor(text), "auto") is lines


@pytest.mark.parametrize(
    ("least", "trigger", "after"),
    [
        (0.2, "automatic", "x = ║"),
        (0.05, "automatic", "x = value║"),
        (0.2, "invoked", "x = value║"),  # the user who asks by hand sees what there is
    ],
)
def test_an_unsure_model_is_quiet_unless_it_is_asked_by_hand(
    least: float, trigger: str, after: str
) -> None:
    check(completed(UNSURE, min_confidence=least), "x = ║", "value", after, trigger=trigger)


def test_an_unsure_model_streams_nothing_and_the_reason_names_the_setting() -> None:
    engine = ScriptedEngine("value", log_prob=UNSURE)
    outcome, streamed = shown(engine, "x = ║", min_confidence=0.2)
    assert streamed == []
    assert outcome.texts == ()
    assert "minConfidence" in outcome.reason


@pytest.mark.parametrize(
    ("text", "says", "after"),
    [
        ("x = ║", " a", "x = a║"),
        ("if x:\n    ║", " return a", "if x:\n    return a║"),
        ("if x:\n    ║", "    return a", "if x:\n        return a║"),
        ("x =║", " a", "x = a║"),
    ],
)
def test_a_space_is_not_typed_twice(text: str, says: str, after: str) -> None:
    check(completed(), text, says, after)
    outcome, streamed = shown(ScriptedEngine(says), text)
    assert all(outcome.texts[0].startswith(each) for each in streamed)


def test_streamed_text_grows_to_the_result() -> None:
    outcome, streamed = shown(ScriptedEngine("sum(values)\n"), "x = ║")
    assert streamed == ["sum(values)"[:length] for length in range(1, 12)]
    assert outcome.texts == ("sum(values)",)


def test_text_that_stands_after_the_cursor_is_never_streamed() -> None:
    outcome, streamed = shown(ScriptedEngine("x, y)"), "f(║)")
    assert outcome.texts == ("x, y",)
    assert all(not text.endswith(")") for text in streamed)


def test_an_outcome_says_where_it_came_from_and_what_it_cost() -> None:
    outcome = completer(ScriptedEngine("sum(values)")).complete(at_cursor("x = ║"))
    assert outcome.source == "model"
    assert outcome.score == pytest.approx(-0.1)
    assert not outcome.superseded
    assert outcome.cost.generated_tokens == len("sum(values)")


def test_the_stop_signal_ends_generation_at_the_next_piece() -> None:
    engine, stop = ScriptedEngine("abcdefgh"), Stop()

    def enough(text: str) -> None:
        if len(text) == 3:
            stop.set()

    outcome = completer(engine).complete(at_cursor("x = ║"), stop, enough)
    assert outcome.superseded
    assert outcome.texts == ()
    assert engine.said == "abc"
    assert outcome.cost.generated_tokens == 3  # it has cost that, for nothing


def test_a_stopped_request_computes_nothing() -> None:
    engine, stop = ScriptedEngine("abc"), Stop()
    stop.set()
    assert completer(engine).complete(at_cursor("x = ║"), stop).superseded
    assert engine.said == ""


def test_an_answer_is_remembered() -> None:
    engine = ScriptedEngine("sum(values)")
    asked = completer(engine)
    assert asked.recall(at_cursor("x = ║")) is None
    asked.complete(at_cursor("x = ║"))
    again = asked.recall(at_cursor("x = sum(║"))
    assert again == Outcome(("values)",), source="typedThrough")
    assert len(engine.contexts) == 1


def test_what_was_prefetched_is_recalled_as_such_and_computed_once() -> None:
    engine = ScriptedEngine("sum(values)")
    asked = completer(engine)
    assert asked.prefetch(at_cursor("x = ║"), Stop()).generated_tokens > 0
    assert asked.prefetch(at_cursor("x = ║"), Stop()).generated_tokens == 0
    assert asked.recall(at_cursor("x = ║")) == Outcome(("sum(values)",), source="prefetched")


def test_nothing_is_computed_ahead_where_nothing_may_be_shown() -> None:
    engine = ScriptedEngine("sum(values)")
    asked = completer(engine)
    assert asked.prefetch(at_cursor("retu║rn x"), Stop()).generated_tokens == 0
    assert asked.prefetch(at_cursor("KEY=║", path="/home/.env"), Stop()).generated_tokens == 0
    assert asked.prepare(at_cursor("KEY=║", path="/home/.env"), Stop()) == 0
    assert engine.contexts == []


def test_that_there_is_nothing_to_show_is_remembered_for_the_same_text() -> None:
    asked = completer(ScriptedEngine("value", log_prob=UNSURE))
    assert asked.gate(at_cursor("x = ║")) is None
    refused = asked.complete(at_cursor("x = ║"))
    assert asked.gate(at_cursor("x = ║")) == Outcome(reason=refused.reason)
    assert asked.gate(at_cursor("x = 1 + ║")) is None


def test_an_excluded_file_is_refused_with_its_pattern() -> None:
    refused = completer(ScriptedEngine("x")).gate(at_cursor("a║", path=".env", trigger="invoked"))
    assert refused is not None
    assert "'.env'" in refused.reason


class Several(ScriptedEngine):
    """Has more than one thing to say."""

    texts = ("first()\n", "first()\n", "", "second()\n")

    def pieces(self, limits: Limits) -> Iterator[Piece]:
        for number, text in enumerate(self.texts[: limits.candidates]):
            for character in text:
                yield Piece(character, self.log_prob, candidate=number)


def test_candidates_are_offered_to_the_user_who_asks_by_hand() -> None:
    asked, streamed = completer(Several(""), candidates=4), list[str]()
    by_hand = at_cursor("x = ║", trigger="invoked")
    outcome = asked.complete(by_hand, on_text=streamed.append)
    assert outcome.texts == ("first()", "second()")
    assert all("first()".startswith(text) for text in streamed)
    assert asked.recall(by_hand) is None  # one of them is remembered, not all
    assert asked.complete(at_cursor("y = ║")).texts == ("first()",)


@given(
    text=st.text(alphabet="ab )\n=é", max_size=24),
    suffix=st.sampled_from(["", ")", "\n", "\nab\n", " = a"]),
    log_probs=st.lists(st.sampled_from([-0.01, -0.5, -2.0, -6.0]), min_size=1, max_size=24),
    trigger=st.sampled_from(["automatic", "invoked"]),
)
def test_what_is_streamed_only_grows_into_what_is_answered(
    text: str, suffix: str, log_probs: list[float], trigger: str
) -> None:
    """However sure the model is of each token."""

    class Moody(ScriptedEngine):
        def pieces(self, limits: Limits) -> Iterator[Piece]:
            for character, log_prob in zip(self.text, itertools.cycle(log_probs), strict=False):
                yield Piece(character, log_prob)

    streamed: list[str] = []
    outcome = completer(Moody(text)).complete(
        at_cursor("a = ║" + suffix, trigger=trigger), on_text=streamed.append
    )
    for before, after in itertools.pairwise(streamed):
        assert after.startswith(before)
        assert len(after) > len(before)
    if streamed:
        assert outcome.texts[0].startswith(streamed[-1])


def test_an_answer_that_comes_too_late_is_remembered() -> None:
    stop = Stop()

    class LateStop(ScriptedEngine):
        """Nobody waits any more when it has said everything."""

        def pieces(self, limits: Limits) -> Iterator[Piece]:
            yield from super().pieces(limits)
            stop.set()

    asked = completer(LateStop("ab"))
    assert asked.complete(at_cursor("x = ║"), stop).superseded
    assert asked.recall(at_cursor("x = a║")) == Outcome(("b",), source="typedThrough")


def test_the_time_limit_ends_a_slow_generation() -> None:
    engine = ScriptedEngine("x" * 50 + "y" * 50)
    limited = Completer(engine, Settings(), CompletionCache(), time_limit=0)
    assert limited.complete(at_cursor("a = ║")).texts
    assert len(engine.said) == 1


def test_prompt_and_completion_fit_the_model(engine: CTranslate2Engine) -> None:
    """The engine raises when they do not."""
    text = "value = other(1)\n" * 3000
    asked = completer(engine, max_new_tokens=1024, multiline="always")
    asked.complete(at_cursor(text + "║\n" + text))


def test_the_real_model_completes_something(engine: CTranslate2Engine) -> None:
    asked = completer(engine, min_confidence=0.0)
    outcomes = [
        asked.complete(
            at_cursor(f"class A:\n    def __init__(self, {name}):\n        self.{name} = ║\n")
        )
        for name in ("width", "name", "value", "path", "index")
    ]
    assert any(outcome.texts for outcome in outcomes)
