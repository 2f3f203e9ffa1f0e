"""Sessions become keys; whatever the editor does on the way, the text is the one they claim."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santa_lsp.bench import BenchError
from santa_lsp.bench.session import Session, Step, names, parse, read
from santa_lsp.bench.typist import Typist, difference

HEAD = "language: python\nfile: a.py\n== text\ndef f():\n    return 0\n== steps\n"


def typed(text: str, *, before: str = "", after: str = "") -> tuple[Typist, list[str]]:
    """A typist who has typed `text` between `before` and `after`, and the text after each key."""
    go = Step("go", f"{before}║{after}")
    typist = Typist(Session("s", "python", "a.py", before + after, (go, Step("type", text))))
    return typist, [typist.text for key in typist.keystrokes() if not key.press() or True]


def play(script: str) -> Typist:
    typist = Typist(parse("s", HEAD + script))
    for key in typist.keystrokes():
        key.press()
    return typist


def test_a_session_is_a_text_and_steps() -> None:
    session = parse("s", HEAD + ":: go return 0║\n:: type\n\n\ndef g():\n    pass\n:: pause 2\n")
    assert (session.language, session.file) == ("python", "a.py")
    assert session.text == "def f():\n    return 0\n"
    steps = [Step("go", "return 0║"), Step("type", "\n\ndef g():\n    pass"), Step("pause", "2")]
    assert list(session.steps) == steps


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("type x\n", "line 7: a step starts with"),
        (":: ask\nx\n", "line 7: ask needs no text"),
        (":: undo\n:: pause\n", "line 8: pause needs a text"),
        (":: pause long\n", "seconds"),
        (":: jump x║\n", "no such step"),
        (":: go return\n", "go, and nothing else, needs one ║"),
        (":: type ║\n", "go, and nothing else, needs one ║"),
        ("", "needs language"),
    ],
)
def test_a_mistake_in_a_session_is_told_with_its_line(script: str, words: str) -> None:
    with pytest.raises(BenchError, match=words):
        parse("s", HEAD + script)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (":: go x║\n", "0 times"),
        (":: go  ║\n", "6 times"),
        (":: erase x\n", "not what stands"),
        (":: undo\n", "nothing was changed"),
    ],
)
def test_a_step_that_does_not_fit_the_text_is_told(script: str, words: str) -> None:
    with pytest.raises(BenchError, match=words):
        play(script)


def test_steps_change_the_text_as_they_say() -> None:
    typist = play(":: go return 0║\n:: erase 0\n:: type\nlen(a)\n")
    assert typist.text == "def f():\n    return len(a)\n"
    assert typist.text[typist.cursor :] == "\n"
    assert play(":: go f(║)\n:: paste\na, b\n").text == "def f(a, b):\n    return 0\n"
    assert play(":: go f(║)\n:: paste\na\n:: pause 1\n:: type\n, b\n:: undo\n").text == (
        "def f(a):\n    return 0\n"
    )
    assert (
        play(":: go 0║\n:: erase     return 0\n:: type\n    pass\n").text == "def f():\n    pass\n"
    )
    gone = play(":: go 0║\n:: erase ():\n    return 0\n")
    assert gone.text == "def f\n"
    assert play(":: accept\n:: ask\n").text == "def f():\n    return 0\n"  # nothing was shown


def test_the_editor_closes_what_is_opened() -> None:
    _, texts = typed("f(x)", before="a\n", after="\nb\n")
    assert [text[2:-3] for text in texts] == ["", "f", "f()", "f(x)", "f(x)"]
    _, texts = typed("f(x)", before="a\n", after="word")
    assert "f(word" in texts[-3]  # never right before a word


def test_enter_brings_the_indentation_and_opens_a_block() -> None:
    typist, texts = typed("if (x) {\n    y\n}\nz", before="  ", after="")
    assert "  if (x) {\n    \n  }" in texts
    assert typist.text == "  if (x) {\n    y\n}\nz"
    typist, texts = typed("if x:\n    y", before="", after="\n")
    assert "if x:\n    \n" in texts


def test_a_completion_that_repeats_the_closing_bracket_is_mended() -> None:
    steps = (Step("type", "f(x) + 1"),)
    typist = Typist(Session("s", "python", "a.py", "", steps))
    kinds = []
    for number, key in enumerate(typist.keystrokes()):
        kinds.append(key.kind)
        if number == 2:  # f(║)
            typist.accept(2, 2, "x)")
            assert typist.text == "f(x))"
        else:
            key.press()
    assert typist.text == "f(x) + 1"
    assert "erase" in kinds


def test_keys_come_in_a_human_rhythm_that_only_the_seed_decides() -> None:
    session = parse("s", HEAD + ":: go return 0║\n:: type\n" + "value = compute(value)\n" * 20)
    first, again, other = (
        [(key.delay, key.press()) for key in Typist(session, seed).keystrokes()]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert [edit for _, edit in first] == [edit for _, edit in other]
    assert first != other
    assert 0.1 < sum(delay for delay, _ in first) / len(first) < 0.5
    paused = parse("s", HEAD + ":: pause 30\n:: ask\n")
    assert next(Typist(paused).keystrokes()).delay > 30


CODE = st.text(alphabet="ab.\n (){}[]\"'`,", max_size=40)


@given(text=CODE, before=CODE, after=CODE)
def test_what_is_typed_is_what_stands_there(text: str, before: str, after: str) -> None:
    typist, _ = typed(text, before=before, after=after)
    assert typist.text == before + text + after
    assert typist.cursor == len(before + text)


@given(text=CODE, completion=CODE, at=st.integers(0, 20))
def test_a_completion_taken_on_the_way_changes_nothing_in_the_end(
    text: str, completion: str, at: int
) -> None:
    typist = Typist(
        Session("s", "python", "a.py", "(\n)", (Step("go", "(║\n)"), Step("type", text)))
    )
    for number, key in enumerate(typist.keystrokes()):
        rest = typist.rest
        if number == at and key.kind == "type" and rest:
            length = 1 + len(completion) % len(rest)
            typist.accept(typist.cursor, typist.cursor, rest[:length])
        else:
            key.press()
    assert typist.text == "(" + text + "\n)"


@given(before=CODE, after=CODE)
def test_the_difference_makes_one_text_of_the_other(before: str, after: str) -> None:
    assert difference(before, after).apply(before) == after


@pytest.mark.parametrize("name", names())
def test_the_sessions_of_the_package_are_minutes_of_mixed_edits(name: str) -> None:
    session = read(name)
    keys = [(key.kind, key.delay, key.press()) for key in Typist(session).keystrokes()]
    assert {"type", "erase", "paste", "undo", "move", "ask", "accept"} == {key[0] for key in keys}
    assert 120 < sum(delay for _, delay, _ in keys) < 600
    assert sum(len(step.text) > 1 for step in session.steps if step.verb == "type") > 5


def test_the_sessions_leave_the_programs_they_claim() -> None:
    finals = {}
    for name in names():
        typist = Typist(read(name))
        for key in typist.keystrokes():
            key.press()
        finals[name] = typist.text
    compile(finals["python"], "backup.py", "exec")
    for text in finals.values():
        for opener, closer in ("()", "[]", "{}"):
            assert text.count(opener) == text.count(closer)


def test_a_session_that_is_not_there_is_told() -> None:
    with pytest.raises(BenchError, match="java, javascript, python"):
        read("cobol")
