from __future__ import annotations

import pytest

from santa_lsp.server.typing_speed import MOST_DEBOUNCE, UNKNOWN, TypingSpeed


def typing(*gaps: float) -> tuple[TypingSpeed, float]:
    """The typing speed after keys with these seconds between them, and the time of the last key."""
    speed, now = TypingSpeed(), 100.0
    speed.key(now)
    for gap in gaps:
        now += gap
        speed.key(now)
    return speed, now


def test_an_answer_that_comes_before_the_next_key_waits_for_nothing() -> None:
    speed, now = typing(*[0.12] * 10)
    assert speed.debounce(0.05, now) == 0
    assert speed.debounce(0.0, now) == 0  # nothing known of the model yet


def test_a_slow_answer_waits_for_the_key_that_would_supersede_it() -> None:
    speed, now = typing(*[0.08] * 10)
    assert speed.debounce(2.0, now) == pytest.approx(0.12)
    assert speed.debounce(0.1, now) == pytest.approx(0.05)  # never more than half of it


def test_a_slow_typist_is_not_kept_waiting() -> None:
    speed, now = typing(*[0.5] * 10)
    assert speed.debounce(2.0, now) == MOST_DEBOUNCE


def test_time_that_has_passed_since_the_key_counts() -> None:
    """An editor that waits by itself has waited already."""
    speed, now = typing(*[0.08] * 10)
    assert speed.debounce(2.0, now + 0.1) == pytest.approx(0.02)
    assert speed.debounce(2.0, now + 1) == 0


def test_thinking_is_not_typing() -> None:
    speed, _ = typing(0.1, 0.1, 30.0, 0.1, 0.1, 5.0, 0.1)
    assert speed.typical() == pytest.approx(0.1)
    assert speed.pause() == pytest.approx(0.15)


def test_before_anybody_has_typed() -> None:
    speed = TypingSpeed()
    assert speed.typical() == UNKNOWN
    assert speed.debounce(1.0, 5.0) == 0  # asked for without a key
