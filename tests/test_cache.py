from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santa_lsp.completion.cache import NEAR, CompletionCache, Remembered
from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.filters import Drop
from tests.support.cursor import Complete, at_cursor, check


def remembered_at(place: str, **fields: object) -> Complete:
    """Completes from memory alone, with what the model said at an earlier cursor."""

    def complete(says: str, context: CompletionContext) -> str | Drop:
        cache = CompletionCache()
        cache.put(at_cursor(place, **fields), says)
        found = cache.get(context)
        return found.text if found else Drop("not remembered")

    return complete


def left(cache: CompletionCache, text: str) -> str | None:
    """What is left to type at the cursor of a text."""
    found = cache.get(at_cursor(text))
    return found.text if found else None


@pytest.mark.parametrize(
    ("typed", "after"),
    [
        ("total = ║\n", "total = sum(values)║\n"),
        ("total = sum(║\n", "total = sum(values)║\n"),
        ("total = sum(values)║\n", "total = sum(values)║\n"),  # nothing is left to type
        ("total = x║\n", "total = x║\n"),
        ("totals = ║\n", "totals = ║\n"),
        ("total = ║\nx", "total = ║\nx"),
        ("total =║\n", "total =║\n"),
    ],
)
def test_typing_through_a_completion_is_answered(typed: str, after: str) -> None:
    check(remembered_at("total = ║\n"), typed, "sum(values)", after)


def test_another_document_has_completions_of_its_own() -> None:
    check(remembered_at("x = ║", uri="file:///other.py"), "x = ║", "sum(values)", "x = ║")


@pytest.mark.parametrize(
    ("says", "typed", "after"),
    [
        ("f(a, g(b)) + 1", "f(║)", "f(a, g(b)║)"),
        ("f(a, g(b)) + 1", "f(a, g(║))", "f(a, g(b║))"),
        ("f(a, g(b)) + 1", "f(a, g(b)║)", "f(a, g(b)║)"),  # nothing is left before the bracket
        ("f(a, g(b)) + 1", "f(a, g(b))║", "f(a, g(b)) + 1║"),  # it was typed over
        ("f(a, g(b)) + 1", "f(║", "f(a, g(b)) + 1║"),  # an editor that closes nothing
        ("'a(b' + c", "'║'", "'a(b║'"),
        ("[{'k': v}]", "[{'║'}]", "[{'k║'}]"),
        ("f(a)", "f(║]", "f(║]"),  # not what the editor would have put there
        ("f(a)", "f║)", "f║)"),
        ("f(a)", "f(║))", "f(║))"),
    ],
)
def test_a_bracket_that_the_editor_has_closed_by_itself(says: str, typed: str, after: str) -> None:
    check(remembered_at("x = ║\ny"), f"x = {typed}\ny", says, f"x = {after}\ny")


def test_an_edit_far_above_is_noticed() -> None:
    far = "\n" + "x" * (2 * NEAR)
    check(remembered_at(f"a = 1{far}║"), f"b = 1{far}║", "text", f"b = 1{far}║")


def test_the_least_recently_used_goes_first() -> None:
    cache = CompletionCache(capacity=2)
    cache.put(at_cursor("a║"), "1")
    cache.put(at_cursor("b║"), "2")
    assert left(cache, "a║") == "1"
    cache.put(at_cursor("c║"), "3")
    assert len(cache) == 2
    assert left(cache, "b║") is None
    assert left(cache, "a║") == "1"


def test_a_look_is_no_use() -> None:
    cache = CompletionCache(capacity=2)
    cache.put(at_cursor("a║"), "1")
    cache.put(at_cursor("b║"), "2")
    assert cache.get(at_cursor("a║"), peek=True) == Remembered("1")
    cache.put(at_cursor("c║"), "3")
    assert left(cache, "a║") is None


def test_the_newest_completion_of_a_place_wins() -> None:
    cache = CompletionCache()
    cache.put(at_cursor("a║"), "old")
    cache.put(at_cursor("a║"), "new")
    assert left(cache, "a║") == "new"


def test_what_was_prefetched_is_known_as_such() -> None:
    cache = CompletionCache()
    cache.put(at_cursor("x = ║"), "value", prefetched=True)
    assert cache.get(at_cursor("x = v║")) == Remembered("alue", prefetched=True)


def test_nothing_to_show_is_remembered_for_the_very_same_request() -> None:
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
