from __future__ import annotations

import json
import math
from argparse import Namespace
from pathlib import Path
from random import Random

import pytest
import sacrebleu

from model.evaluate import code_to_text
from model.evaluate.bleu import bleu, tokenize
from model.evaluate.code_to_text import CodeToText, without_docstring
from model.evaluate.task import EvaluateError, Subject
from santa_lsp import EMBEDDED, models
from tests.model.scripted import ScriptedLocalEngine


def test_text_is_split_as_the_benchmark_does() -> None:
    assert tokenize("Get the foo_bar's 3.14, e.g.") == [
        *("get", "the", "foo", "_", "bar", "'", "s", "3", ".", "14", ",", "e", ".", "g", "."),
    ]


def test_bleu_worked_by_hand() -> None:
    # 3 of 4 words; smoothed 2/4 of two, 1/3 of three, 1/2 of four; 4 words said for 6.
    worked = (3 / 4 * 2 / 4 * 1 / 3 * 1 / 2) ** (1 / 4) * math.exp(1 - 7 / 5)
    assert bleu("Log a message .", "Print an error log message .") == pytest.approx(worked)
    assert bleu("return the sum of both", "Return the sum of both") == pytest.approx(1)
    assert bleu("one two", "three four") == 0
    assert bleu("", "three words here") == pytest.approx(math.exp(-3))


def test_bleu_is_sacrebleus_but_for_the_brevity_penalty() -> None:
    random = Random(0)
    for _ in range(200):
        said, wanted = (
            " ".join(random.choices("abcde", k=random.randint(1, 12))) for _ in range(2)
        )
        theirs = sacrebleu.sentence_bleu(
            said, [wanted], smooth_method="add-k", smooth_value=1, tokenize="none"
        )
        a, b = len(said.split()), len(wanted.split())
        ours = bleu(said, wanted) / math.exp(min(0, 1 - (b + 1) / (a + 1)))
        if theirs.precisions[0] and theirs.sys_len >= 4:  # it has no n-grams to count in less
            assert ours == pytest.approx(theirs.score / 100 / theirs.bp)


TWO_LINES = "Twice\n\n    :x: (a|b).\n    "


@pytest.mark.parametrize(
    ("code", "docstring"),
    [
        ('def f(x):\n    """Twice x."""\n    return 2 * x\n', "Twice x."),
        ("def f(x):\n    '''\n    Twice x.\n    '''\n    return 2 * x\n", "Twice x."),
        ('def f(x):\n    r"Twice x."\n    return 2 * x\n', "Twice x."),
        ('def f(x):\n    """Twice\n\n    :x: (a|b).\n    """\n    return 2 * x', TWO_LINES),
        ("def f(x):\n    return 2 * x\n", "Twice x."),
    ],
)  # fmt: skip
def test_a_function_is_shown_without_its_docstring(code: str, docstring: str) -> None:
    assert without_docstring(code, docstring) == "def f(x):\n    return 2 * x"


def test_the_answer_is_the_first_line_to_the_benchmarks_question() -> None:
    row = {
        "code": 'def f(x):\n    """Twice x."""\n    return 2 * x\n',
        "docstring": "Twice x.",
        "docstring_tokens": ["Twice", "x", "."],
    }
    each = code_to_text.function(row, 3, "python")
    assert each.wanted == "Twice x ."
    engine = ScriptedLocalEngine("\n  Double x.\nreturn\n")
    said = code_to_text.first_line(engine, each.prompt)
    assert said == "Double x."
    assert engine.said == "\n  Double x.\n"  # no token more than needed
    (asked,) = engine.prompts
    question = 'def f(x):\n    return 2 * x\n""" The goal of this function is to:\n'
    assert "".join(map(chr, asked)) == question
    record = code_to_text.record_of(each, said)
    assert record.scores == {"smoothed BLEU-4": pytest.approx(bleu("double x .", "twice x ."))}


def test_a_file_of_the_benchmark_is_evaluated(tmp_path: Path) -> None:
    folder = tmp_path / "code-to-text" / "python"
    folder.mkdir(parents=True)
    row = {"code": "def f():\n    'Nothing.'\n    pass\n", "docstring": "Nothing."}
    (folder / "test.jsonl").write_text(json.dumps(row) + "\n")
    task, arguments = CodeToText(), Namespace(data=tmp_path, language="python", seed=0)
    work = task.load(arguments)
    with task.answering(Subject(models.find(EMBEDDED), 1), arguments) as answer:
        (line,) = task.rows(answer(work.items), arguments)
    assert (line.group, line.metric, line.published) == ("python", "smoothed BLEU-4", 0.1813)
    with pytest.raises(EvaluateError, match=r"has no code-to-text/java/test\.jsonl"):
        task.load(Namespace(data=tmp_path, language="java"))
    (folder / "test.jsonl").write_text('{"code": ""}\n')
    with pytest.raises(EvaluateError, match="has no docstring"):
        task.load(arguments)
