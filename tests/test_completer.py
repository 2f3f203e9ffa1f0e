from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santa_lsp.completion.cache import CompletionCache
from santa_lsp.completion.completer import Completer, CompleterConfig, Completion, Superseded
from santa_lsp.completion.engine import Engine, GenerationParameters, Token
from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from santa_lsp.completion.filters import Drop
from tests.conftest import at_cursor
from tests.support.scripted_engine import ScriptedEngine


def completer(engine: Engine, **config: object) -> Completer:
    return Completer(engine, CompleterConfig(**config), CompletionCache())  # type: ignore[arg-type]


def test_a_line_ends_where_its_line_ends() -> None:
    engine = ScriptedEngine("a + b\nprint(1)")
    result = completer(engine).complete(at_cursor("total = ║"))
    assert isinstance(result, Completion)
    assert result.text == "a + b"
    assert engine.said == "a + b\n"  # nothing is computed that would be cut away


def test_a_block_ends_where_its_block_ends() -> None:
    engine = ScriptedEngine("\n    c = a\n    return c\n\n\ndef other():\n    pass\n")
    result = completer(engine).complete(at_cursor("def f(a):║"))
    assert isinstance(result, Completion)
    assert result.text == "\n    c = a\n    return c"
    assert not engine.said.endswith("pass\n")


def test_a_line_that_was_cut_off_is_left_out() -> None:
    engine = ScriptedEngine("\n    first = 1\n    second = something_lo")
    asked = completer(engine, max_new_tokens=len(engine.text))
    result = asked.complete(at_cursor("def f():║"))
    assert isinstance(result, Completion)
    assert result.text == "\n    first = 1"


@pytest.mark.parametrize(("multiline", "text"), [("never", ""), ("always", "a\nb"), ("auto", "a")])
def test_the_multiline_setting(multiline: str, text: str) -> None:
    result = completer(ScriptedEngine("a\nb\n"), multiline=multiline).complete(at_cursor("x = ║"))
    assert (result.text if isinstance(result, Completion) else "") == (text or "a")


def test_auto_takes_lines_only_where_a_block_begins() -> None:
    asked = completer(ScriptedEngine(""))
    assert asked.wants_lines(at_cursor("def f():║"))
    assert asked.wants_lines(at_cursor("if (a) {  ║"))
    assert asked.wants_lines(at_cursor("    ║\n"))
    assert not asked.wants_lines(at_cursor("x = ║"))
    assert not asked.wants_lines(at_cursor("f(║)"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("retu║rn x", "inside a word"),
        ("f(║) + something_long(1)", "too much text follows"),
        ("║", "file is empty"),
    ],
)
def test_gates_of_automatic_requests(text: str, reason: str) -> None:
    engine = ScriptedEngine("anything")
    dropped = completer(engine).complete(at_cursor(text))
    assert isinstance(dropped, Drop)
    assert reason in dropped.reason
    assert engine.prompts == []
    assert isinstance(completer(engine).complete(at_cursor(text, trigger="invoked")), Completion)


@pytest.mark.parametrize("text", ["f(║)", "f('║');", "x║ )", "a = ║  # b"])
def test_closing_punctuation_and_little_text_do_not_close_the_gate(text: str) -> None:
    assert completer(ScriptedEngine("anything")).gate(at_cursor(text)) is None


def test_excluded_files_stay_silent_even_when_asked() -> None:
    asked = completer(ScriptedEngine("x"), exclude=(".env", "secrets/*"))
    for path in ("/home/a/.env", "secrets/key.py", ".env"):
        dropped = asked.gate(at_cursor("a║", path=path, trigger="invoked"))
        assert isinstance(dropped, Drop)
        assert "exclude" in dropped.reason
    assert asked.gate(at_cursor("a║", path="/home/a/b.env.py")) is None


def test_an_unsure_model_is_quiet() -> None:
    unsure = ScriptedEngine("value", log_prob=math.log(0.1))
    dropped = completer(unsure, min_confidence=0.2).complete(at_cursor("x = ║"))
    assert isinstance(dropped, Drop)
    assert "minConfidence" in dropped.reason
    assert isinstance(
        completer(unsure, min_confidence=0.05).complete(at_cursor("x = ║")), Completion
    )


def test_who_asks_by_hand_is_shown_what_there_is() -> None:
    unsure = completer(ScriptedEngine("value", log_prob=math.log(0.1)), min_confidence=0.2)
    assert isinstance(unsure.complete(at_cursor("x = ║", trigger="invoked")), Completion)


def test_an_unsure_model_streams_nothing() -> None:
    shown: list[str] = []
    unsure = completer(ScriptedEngine("value", log_prob=math.log(0.1)), min_confidence=0.2)
    unsure.complete(at_cursor("x = ║"), on_text=shown.append)
    assert shown == []


@pytest.mark.parametrize(
    ("before", "says", "text"),
    [
        ("x = ║", " a", "a"),
        ("if x:\n    ║", " return a", "return a"),
        ("if x:\n    ║", "    return a", "    return a"),
        ("x =║", " a", " a"),
    ],
)
def test_a_space_is_not_typed_twice(before: str, says: str, text: str) -> None:
    shown: list[str] = []
    result = completer(ScriptedEngine(says)).complete(at_cursor(before), on_text=shown.append)
    assert isinstance(result, Completion)
    assert result.text == text
    assert all(text.startswith(each) for each in shown)


def test_streamed_text_grows_to_the_result() -> None:
    shown: list[str] = []
    result = completer(ScriptedEngine("sum(values)\n")).complete(
        at_cursor("x = ║"), on_text=shown.append
    )
    assert isinstance(result, Completion)
    assert shown == ["sum(values)"[:length] for length in range(1, 12)]
    assert result.text == shown[-1]


def test_text_that_stands_after_the_cursor_is_never_streamed() -> None:
    shown: list[str] = []
    result = completer(ScriptedEngine("x, y)")).complete(at_cursor("f(║)"), on_text=shown.append)
    assert isinstance(result, Completion)
    assert result.text == "x, y"
    assert all(not text.endswith(")") for text in shown)


def test_generation_ends_at_a_bracket_that_is_closed_already() -> None:
    engine = ScriptedEngine("self, name):\n    pass")
    result = completer(engine).complete(at_cursor("def f(║)"))
    assert isinstance(result, Completion)
    assert result.text == "self, name"
    assert engine.said == "self, name)"


def test_the_stop_signal_ends_generation_at_the_next_token() -> None:
    engine = ScriptedEngine("abcdefgh")
    with pytest.raises(Superseded):
        completer(engine).complete(at_cursor("x = ║"), stopped=lambda: len(engine.said) >= 3)
    assert engine.said == "abc"


def test_a_stopped_request_computes_nothing() -> None:
    engine = ScriptedEngine("abc")
    with pytest.raises(Superseded):
        completer(engine).complete(at_cursor("x = ║"), stopped=lambda: True)
    assert engine.prompts == []


def test_an_answer_is_remembered() -> None:
    engine = ScriptedEngine("sum(values)")
    asked = completer(engine)
    asked.complete(at_cursor("x = ║"))
    again = asked.complete(at_cursor("x = sum(║"))
    assert again == Completion("values)", "typedThrough")
    assert len(engine.prompts) == 1


class Several(ScriptedEngine):
    """Has more than one thing to say."""

    texts = ("first()\n", "first()\n", "", "second()\n")

    def generate(
        self,
        prompt_ids: Sequence[int],
        parameters: GenerationParameters,
        on_token: Callable[[Token], bool],
    ) -> int:
        for number, text in enumerate(self.texts[: parameters.candidates]):
            for character in text:
                if on_token(Token(ord(character), -0.1, number)):
                    break
        return 0


def test_who_asks_by_hand_may_choose_between_candidates() -> None:
    asked, shown = completer(Several(""), candidates=4), []
    for _ in range(2):  # not from memory, which has only one of them
        result = asked.complete(at_cursor("x = ║", trigger="invoked"), on_text=shown.append)
        assert isinstance(result, Completion)
        assert (result.text, result.others) == ("first()", ("second()",))
    assert all("first()".startswith(text) for text in shown)
    automatic = asked.complete(at_cursor("y = ║"))
    assert isinstance(automatic, Completion)
    assert automatic.others == ()


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
        def generate(
            self,
            prompt_ids: Sequence[int],
            parameters: GenerationParameters,
            on_token: Callable[[Token], bool],
        ) -> int:
            for number, character in enumerate(self.text):
                if on_token(Token(ord(character), log_probs[number % len(log_probs)])):
                    break
            return 0

    shown: list[str] = []
    result = completer(Moody(text), min_confidence=0.4).complete(
        at_cursor("a = ║" + suffix, trigger=trigger), on_text=shown.append
    )
    for before, after in itertools.pairwise(shown):
        assert after.startswith(before)
        assert len(after) > len(before)
    if shown:
        assert isinstance(result, Completion)
        assert result.text.startswith(shown[-1])


def test_an_answer_that_comes_too_late_is_remembered() -> None:
    looks: list[bool] = []
    asked = completer(ScriptedEngine("ab"))
    with pytest.raises(Superseded):  # before the model, at each of two tokens, and at the end
        asked.complete(
            at_cursor("x = ║"), stopped=lambda: bool(looks.append(True)) or len(looks) > 3
        )
    assert asked.recall(at_cursor("x = a║")) == Completion("b", "typedThrough")


def test_the_time_limit_ends_a_slow_generation() -> None:
    engine = ScriptedEngine("x" * 50 + "y" * 50)
    result = completer(engine, time_limit_ms=0).complete(at_cursor("a = ║"))
    assert len(engine.said) == 1
    assert isinstance(result, Completion)


def test_prompt_and_completion_fit_the_model(engine: CTranslate2Engine) -> None:
    """The engine raises when they do not."""
    text = "value = other(1)\n" * 3000
    asked = completer(engine, max_new_tokens=1024, multiline="always")
    asked.complete(at_cursor(text + "║\n" + text))


def test_the_real_model_completes_something(engine: CTranslate2Engine) -> None:
    asked = completer(engine)
    results = [
        asked.complete(
            at_cursor(f"class A:\n    def __init__(self, {name}):\n        self.{name} = ║\n")
        )
        for name in ("width", "name", "value", "path", "index")
    ]
    assert any(isinstance(result, Completion) for result in results)
