from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santa_lsp.completion.cache import NEAR, CompletionCache, Remembered
from tests.conftest import at_cursor


def left(cache: CompletionCache, text: str, **fields: object) -> str | None:
    """What is left to type at the cursor of a text."""
    found = cache.get(at_cursor(text, **fields))
    return found.text if found else None


def test_typing_through_a_completion_is_answered() -> None:
    cache = CompletionCache()
    cache.put(at_cursor("total = ║\n"), "sum(values)")
    assert left(cache, "total = ║\n") == "sum(values)"
    assert left(cache, "total = sum(║\n") == "values)"


@pytest.mark.parametrize(
    ("text", "typed", "rest"),
    [
        ("f(a, g(b)) + 1", "f(║)", "a, g(b)"),
        ("f(a, g(b)) + 1", "f(a, g(║))", "b"),
        ("f(a, g(b)) + 1", "f(a, g(b)║)", None),  # nothing is left before the bracket
        ("f(a, g(b)) + 1", "f(a, g(b))║", " + 1"),  # it was typed over
        ("f(a, g(b)) + 1", "f(║", "a, g(b)) + 1"),  # an editor that closes nothing
        ("'a(b' + c", "'║'", "a(b"),
        ("[{'k': v}]", "[{'║'}]", "k"),
        ("f(a)", "f(║]", None),  # not what the editor would have put there
        ("f(a)", "f║)", None),
        ("f(a)", "f(║))", None),
    ],
)
def test_a_bracket_that_the_editor_has_closed_by_itself(
    text: str, typed: str, rest: str | None
) -> None:
    cache = CompletionCache()
    cache.put(at_cursor("x = ║\ny"), text)
    assert left(cache, f"x = {typed}\ny") == rest


def test_another_text_is_not() -> None:
    cache = CompletionCache()
    cache.put(at_cursor("total = ║\n"), "sum(values)")
    assert left(cache, "total = x║\n") is None
    assert left(cache, "totals = ║\n") is None
    assert left(cache, "total = ║\nx") is None
    assert left(cache, "total = ║\n", uri="file:///other.py") is None
    assert left(cache, "total = sum(values)║\n") is None
    assert left(cache, "total =║\n") is None


def test_an_edit_far_above_is_noticed() -> None:
    cache = CompletionCache()
    far = "\n" + "x" * (2 * NEAR)
    cache.put(at_cursor("a = 1" + far + "║"), "text")
    assert left(cache, "b = 1" + far + "║") is None


def test_the_least_recently_used_goes_first() -> None:
    cache = CompletionCache(capacity=2)
    cache.put(at_cursor("a║"), "1")
    cache.put(at_cursor("b║"), "2")
    assert left(cache, "a║") == "1"
    cache.put(at_cursor("c║"), "3")
    assert len(cache) == 2
    assert left(cache, "b║") is None
    assert left(cache, "a║") == "1"


def test_the_newest_completion_of_a_place_wins() -> None:
    cache = CompletionCache()
    cache.put(at_cursor("a║"), "old")
    cache.put(at_cursor("a║"), "new")
    assert left(cache, "a║") == "new"


def test_what_was_computed_ahead_is_used_once() -> None:
    cache = CompletionCache()
    cache.put(at_cursor("x = ║"), "value", prefetched=True, unused_tokens=7)
    assert cache.get(at_cursor("x = ║"), peek=True) == Remembered("value", prefetched=True)
    assert cache.get(at_cursor("x = v║")) == Remembered("alue", True, 7)
    assert cache.get(at_cursor("x = va║")) == Remembered("lue", True, 0)


def test_nothing_to_show_is_remembered_for_the_very_same_question() -> None:
    cache = CompletionCache()
    cache.put_nothing(at_cursor("x = ║"), "not sure")
    assert cache.get_nothing(at_cursor("x = ║")) == "not sure"
    assert cache.get_nothing(at_cursor("x = ║", trigger="invoked")) is None
    assert cache.get_nothing(at_cursor("x = v║")) is None
    assert cache.get_nothing(at_cursor("x = ║", uri="file:///other.py")) is None
    cache.clear()
    assert cache.get_nothing(at_cursor("x = ║")) is None


TEXT = st.text(alphabet="ab\n😀", max_size=12)


@given(
    entries=st.lists(st.tuples(TEXT, TEXT, TEXT.filter(bool)), max_size=8), prefix=TEXT, suffix=TEXT
)
def test_an_answer_always_completes_what_was_computed(
    entries: list[tuple[str, str, str]], prefix: str, suffix: str
) -> None:
    cache = CompletionCache()
    for before, after, text in entries:
        cache.put(at_cursor(before + "║" + after), text)
    answer = left(cache, prefix + "║" + suffix)
    whole = {before + text for before, after, text in entries if after == suffix}
    if answer is not None:
        assert prefix + answer in whole
    else:
        computed = {(b, a): t for b, a, t in entries}
        assert not any(
            after == suffix
            and len(before) <= len(prefix) < len(before + text)
            and (before + text).startswith(prefix)
            for (before, after), text in computed.items()
        )
