from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from santa_lsp.cache import NEAR, CompletionCache
from tests.conftest import at_cursor


def test_typing_through_a_completion_is_answered() -> None:
    cache = CompletionCache()
    cache.put(at_cursor("total = ║\n"), "sum(values)")
    assert cache.get(at_cursor("total = ║\n")) == "sum(values)"
    assert cache.get(at_cursor("total = sum(║\n")) == "values)"


def test_another_text_is_not() -> None:
    cache = CompletionCache()
    cache.put(at_cursor("total = ║\n"), "sum(values)")
    assert cache.get(at_cursor("total = x║\n")) is None
    assert cache.get(at_cursor("totals = ║\n")) is None
    assert cache.get(at_cursor("total = ║\nx")) is None
    assert cache.get(at_cursor("total = ║\n", uri="file:///other.py")) is None
    assert cache.get(at_cursor("total = sum(values)║\n")) is None
    assert cache.get(at_cursor("total =║\n")) is None


def test_an_edit_far_above_is_noticed() -> None:
    cache = CompletionCache()
    far = "\n" + "x" * (2 * NEAR)
    cache.put(at_cursor("a = 1" + far + "║"), "text")
    assert cache.get(at_cursor("b = 1" + far + "║")) is None


def test_the_least_recently_used_goes_first() -> None:
    cache = CompletionCache(capacity=2)
    cache.put(at_cursor("a║"), "1")
    cache.put(at_cursor("b║"), "2")
    assert cache.get(at_cursor("a║")) == "1"
    cache.put(at_cursor("c║"), "3")
    assert len(cache) == 2
    assert cache.get(at_cursor("b║")) is None
    assert cache.get(at_cursor("a║")) == "1"


def test_the_newest_completion_of_a_place_wins() -> None:
    cache = CompletionCache()
    cache.put(at_cursor("a║"), "old")
    cache.put(at_cursor("a║"), "new")
    assert cache.get(at_cursor("a║")) == "new"


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
    answer = cache.get(at_cursor(prefix + "║" + suffix))
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
