from __future__ import annotations

import pytest

from santa_lsp.server.typing_speed import MOST_DEBOUNCE, UNKNOWN, Rhythm


def typing(*gaps: float) -> tuple[Rhythm, float]:
    """A rhythm after keys with these seconds between them, and the time of the last key."""
    rhythm, now = Rhythm(), 100.0
    rhythm.key(now)
    for gap in gaps:
        now += gap
        rhythm.key(now)
    return rhythm, now


def test_an_answer_that_comes_before_the_next_key_waits_for_nothing() -> None:
    rhythm, now = typing(*[0.12] * 10)
    assert rhythm.debounce(0.05, now) == 0
    assert rhythm.debounce(0.0, now) == 0  # nothing known of the model yet


def test_a_slow_answer_waits_for_the_key_that_would_overtake_it() -> None:
    rhythm, now = typing(*[0.08] * 10)
    assert rhythm.debounce(2.0, now) == pytest.approx(0.12)
    assert rhythm.debounce(0.1, now) == pytest.approx(0.05)  # never more than half of it


def test_a_slow_typist_is_not_kept_waiting() -> None:
    rhythm, now = typing(*[0.5] * 10)
    assert rhythm.debounce(2.0, now) == MOST_DEBOUNCE


def test_time_that_has_passed_since_the_key_counts() -> None:
    """An editor that waits by itself has waited already."""
    rhythm, now = typing(*[0.08] * 10)
    assert rhythm.debounce(2.0, now + 0.1) == pytest.approx(0.02)
    assert rhythm.debounce(2.0, now + 1) == 0


def test_thinking_is_not_typing() -> None:
    rhythm, _ = typing(0.1, 0.1, 30.0, 0.1, 0.1, 5.0, 0.1)
    assert rhythm.typical() == pytest.approx(0.1)
    assert rhythm.pause() == pytest.approx(0.15)


def test_before_anybody_has_typed() -> None:
    rhythm = Rhythm()
    assert rhythm.typical() == UNKNOWN
    assert rhythm.debounce(1.0, 5.0) == 0  # asked for without a key
