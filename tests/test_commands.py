"""The command as people run it: a process, its output and its exit status."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from santa_lsp.completion.cache import CompletionCache
from santa_lsp.completion.completer import Completer, CompleterConfig, Completion
from santa_lsp.completion.context import CompletionContext
from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from santa_lsp.models import embedded_directory
from tests.support.lsp_client import LspClient

ROOT = Path(__file__).parents[1]
SHAPES = str(ROOT / "examples" / "shapes.py")


def run(
    *arguments: str, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "santa_lsp", *arguments],
        input=stdin,
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def test_help_has_an_example_of_every_command() -> None:
    done = run("--help")
    assert done.returncode == 0
    for command in (
        "--stdio",
        "complete",
        "models list",
        "models add",
        "export",
        "doctor",
        "bench",
    ):
        assert f"santa-lsp {command}" in done.stdout


def test_complete_prints_the_file_with_the_completion_in_it() -> None:
    text = Path(SHAPES).read_text().splitlines()
    done = run("complete", f"{SHAPES}:24:16")
    assert done.returncode == 0, done.stderr
    assert text[22] in done.stdout
    assert text[25] in done.stdout
    assert "\033" not in done.stdout  # colours are for terminals


def test_complete_can_print_json_and_agrees_with_itself() -> None:
    plain = run("complete", f"{SHAPES}:24:16").stdout
    answer = json.loads(run("complete", f"{SHAPES}:24:16", "--json").stdout)
    if answer["text"] is None:
        assert answer["reason"]
    else:
        assert "        return " + answer["text"] in plain
        assert answer["tokens"] > 0


def test_complete_reads_stdin(engine: CTranslate2Engine) -> None:
    stdin = Path(SHAPES).read_bytes()
    from_stdin = run("complete", "-:24:16", "--language", "python", "--json", stdin=stdin)
    # Nobody knows the name of what is piped in, and the model is told names: so as if unnamed.
    lines = Path(SHAPES).read_text().split("\n")
    prefix, suffix = "\n".join(lines[:23]) + "\n" + lines[23][:15], "\n".join(["", *lines[24:]])
    context = CompletionContext("python", "", prefix, suffix, trigger="invoked")
    expected = Completer(engine, CompleterConfig(), CompletionCache()).complete(context)
    assert isinstance(expected, Completion)
    assert json.loads(from_stdin.stdout)["text"] == expected.text


def test_new_tokens_can_be_limited() -> None:
    answer = json.loads(run("complete", f"{SHAPES}:24:16", "-n", "1", "--json").stdout)
    assert answer.get("tokens", 1) == 1


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("examples/shapes.py", "expected FILE:LINE:COLUMN"),
        ("examples/shapes.py:1", "expected FILE:LINE:COLUMN"),
        ("examples/shapes.py:x:1", "expected FILE:LINE:COLUMN"),
        ("examples/none.py:1:1", "cannot be read"),
        ("examples/shapes.py:999:1", "has 33 lines"),
        ("examples/shapes.py:1:999", "has columns 1 to"),
        ("examples/shapes.py:0:1", "no line 0"),
    ],
)
def test_a_bad_place_is_a_usage_error(place: str, words: str) -> None:
    done = run("complete", place)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_binary_and_undecodable_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\x00\x01\x02")
    (tmp_path / "latin.py").write_bytes("é = 1".encode("latin-1"))
    for name, words in (("a.bin", "binary"), ("latin.py", "not UTF-8 at byte 0")):
        done = run("complete", f"{tmp_path / name}:1:1")
        assert done.returncode == 2
        assert words in done.stderr


def test_a_missing_or_damaged_model_fails_in_one_line(tmp_path: Path) -> None:
    done = run("complete", f"{SHAPES}:24:16", "--model", "nothing")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    directory = tmp_path / "model"
    shutil.copytree(embedded_directory(), directory)
    (directory / "model.bin").write_bytes(b"nothing")
    done = run("complete", f"{SHAPES}:24:16", "--model", str(directory))
    assert done.returncode == 1
    assert "install the model again" in done.stderr
    assert "Traceback" not in done.stderr


def test_options_may_stand_before_the_command(tmp_path: Path) -> None:
    done = run("--model", "nothing", "complete", f"{SHAPES}:24:16")
    assert done.returncode == 1
    assert "nothing" in done.stderr


def test_a_settings_file_is_read_and_its_mistakes_told(tmp_path: Path) -> None:
    config = tmp_path / "santa.toml"
    config.write_text('model = "nothing"\nthreds = 2\n')
    done = run("complete", f"{SHAPES}:24:16", "--config", str(config))
    assert done.returncode == 1
    assert "'nothing'" in done.stderr
    assert "did you mean 'threads'" in done.stderr
    done = run("complete", f"{SHAPES}:24:16", "--config", str(tmp_path / "none.toml"))
    assert done.returncode == 1
    assert "cannot be read" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tcp", "nowhere"],
        ["--ws", "127.0.0.1:99999"],
        ["--threads", "-3"],
        ["--device", "tpu"],
        ["unknown"],
    ],
)
def test_bad_options_are_usage_errors(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_models_are_listed_and_described() -> None:
    listed = run("models", "list")
    assert listed.returncode == 0
    assert "santa-mini" in listed.stdout
    (model,) = json.loads(run("models", "list", "--json").stdout)
    assert (model["name"], model["licence"]) == ("santa-mini", "Apache-2.0")
    assert "python" in model["languages"]
    info = json.loads(run("models", "info", "santa-mini").stdout)
    assert info["name"] == "santa-mini"
    assert run("models", "info", "nothing").returncode == 1


def test_doctor_measures_and_finds_nothing_wrong() -> None:
    done = run("doctor", "--json")
    findings = json.loads(done.stdout)
    assert findings["model"]["name"] == "santa-mini"
    assert findings["speed"][0]["threads"] == 1
    assert findings["speed"][0]["prefill_tokens_per_second"] > 0
    assert findings["speed"][0]["decode_tokens_per_second"] > 0
    assert done.returncode == (1 if findings["problems"] else 0)


def test_doctor_says_what_is_wrong_with_a_model(tmp_path: Path) -> None:
    directory = tmp_path / "model"
    shutil.copytree(embedded_directory(), directory)
    data = bytearray((directory / "model.bin").read_bytes())
    data[-1] ^= 1
    (directory / "model.bin").write_bytes(data)
    done = run("doctor", "--model", str(directory))
    assert done.returncode == 1
    assert "model.bin is damaged" in done.stdout


@pytest.mark.parametrize("transport", ["--tcp", "--ws"])
def test_an_address_in_use_fails_in_one_line(transport: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run(transport, f"127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode == 1
    assert "cannot listen there" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_client_is_served_on_a_tcp_port() -> None:
    argv = [sys.executable, "-m", "santa_lsp", "--tcp", "127.0.0.1:0"]
    process = subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    port = int(process.stderr.readline().rpartition(":")[2])
    client = LspClient.connect("127.0.0.1", port)
    assert "inlineCompletionProvider" in client.initialize()["capabilities"]
    client.request("shutdown")
    client.notify("exit")
    assert process.wait(60) == 0
