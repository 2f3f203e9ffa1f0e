"""Sessions played against a server that says what the test wants."""

from __future__ import annotations

import sys

import pytest

from santa_lsp.bench.client import Client
from santa_lsp.bench.connection import NoReplyError
from santa_lsp.bench.replay import FAST, REAL, Pace, Replay, Request
from santa_lsp.bench.session import parse

LINE = "value = compute(items)"


def serve(*arguments: str) -> Client:
    client = Client.start([sys.executable, "-m", "tests.support.bench_server", *arguments])
    client.initialize()
    return client


def play(pace: Pace, *arguments: str, script: str = "", text: str = LINE) -> list[Request]:
    source = (
        f"language: python\nfile: a.py\n== text\nimport os\n== steps\n:: type\n{text}\n{script}"
    )
    with serve(*arguments) as client:
        replay = Replay(client, parse("test", source), pace)
        for _ in replay.play():
            pass
        assert client.close() == 0
    assert replay.typist.text.startswith("import os\n" + text)
    return replay.requests


def test_every_key_that_edits_asks_and_is_answered_in_time() -> None:
    requests = play(FAST, LINE)
    assert len(requests) == len(LINE)
    assert not any(request.call.cancelled for request in requests)
    assert [request.shown for request in requests[:4]] == [LINE[n:] for n in range(1, 5)]
    assert [request.last["source"] for request in requests[:5]] == [
        "model",
        "model",
        "prefetched",
        "typedThrough",
        "typedThrough",
    ]
    for request in requests[:4]:
        assert request.ms is not None
        assert request.call.first_text is not None
        assert 0 < request.call.first_text <= request.ms
    assert requests[0].rest == LINE[1:]
    assert requests[0].text == "import os\nv"
    assert requests[-1].shown is None


def test_a_person_takes_what_is_right_and_types_on_after_it() -> None:
    first, after = play(Pace("taking", waits=True, notices=0.0), LINE)
    assert (first.shown, first.accepted) == (LINE[1:], True)
    assert (after.kind, after.text, after.rest) == ("accept", "import os\n" + LINE, "")


def test_a_person_leaves_what_is_wrong() -> None:
    requests = play(Pace("taking", waits=True, notices=0.0), "value = computer")
    assert not any(request.accepted for request in requests)
    assert any(request.shown for request in requests)


def test_typing_on_cancels_what_is_open() -> None:
    requests = play(REAL, LINE, "--hold", "4", text="value")
    assert [request.call.cancelled for request in requests] == [True] * 4 + [False]
    assert requests[0].ms is None
    assert requests[0].last == {}
    assert requests[-1].shown == LINE[5:]
    assert all(request.statistics for request in requests)  # a cancelled one is accounted for too


def test_at_a_real_pace_a_completion_is_taken_once_it_has_been_seen() -> None:
    text = "va\n:: pause 20\n:: type\n" + LINE[2:]
    source = f"language: python\nfile: a.py\n== text\nimport os\n== steps\n:: type\n{text}\n"
    with serve(LINE) as client:
        replay = Replay(client, parse("test", source), REAL)
        for _ in replay.play():
            pass
    assert replay.typist.text == "import os\n" + LINE
    assert any(request.accepted for request in replay.requests)


@pytest.mark.parametrize("pace", [REAL, FAST])
def test_a_step_takes_what_is_shown_and_undoes_it(pace: Pace) -> None:
    requests = play(pace, "values", script=":: accept\n:: ask\n", text="val")
    assert [request.kind for request in requests] == ["type"] * 3 + ["accept", "undo", "ask"]
    assert requests[3].text == "import os\nvalues"
    assert requests[4].text == "import os\nval"


def test_a_server_without_statistics_is_timed_too() -> None:
    requests = play(FAST, LINE, "--deaf")
    assert all(request.ms and request.last == {} for request in requests)


def test_a_server_that_dies_is_told_with_its_last_words() -> None:
    with pytest.raises(NoReplyError, match=r"hung up(.|\n)*out of words"):
        play(FAST, LINE, "--die", "3")
