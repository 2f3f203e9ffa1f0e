"""The command as people run it: its output and its exit status."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from santa_lsp.commands.main import main
from santa_lsp.completion.cache import CompletionCache
from santa_lsp.completion.completer import Completer
from santa_lsp.completion.context import CompletionContext
from santa_lsp.completion.engine import Engine, EngineError
from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from santa_lsp.models import embedded_directory
from santa_lsp.settings import Settings
from tests.support.lsp_client import LspClient
from tests.support.scripted_engine import ScriptedEngine

ROOT = Path(__file__).parents[1]
SHAPES = str(ROOT / "examples" / "shapes.py")


def run(
    *arguments: str, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
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


class Command:
    """The command in this process, with an engine that says a text where it says one."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str, says: str | None = None) -> tuple[int, str, str]:
        """Exit status, stdout and stderr."""

        def load(settings: Settings) -> Engine:
            assert says is not None
            return ScriptedEngine(says)

        options = {} if says is None else {"load_engine": load}
        with pytest.raises(SystemExit) as ended:
            main(list(arguments), **options)
        out, err = self._capsys.readouterr()
        code = ended.value.code
        if isinstance(code, str):  # as Python ends with a message
            return 1, out, err + code + "\n"
        return code or 0, out, err


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(ROOT)
    return Command(capsys)


def test_help_has_an_example_of_every_command(command: Command) -> None:
    status, out, _ = command("--help")
    assert status == 0
    for name in ("--stdio", "complete", "models list", "models add", "export", "doctor", "bench"):
        assert f"santa-lsp {name}" in out


def test_complete_prints_the_file_with_the_completion_in_it() -> None:
    text = Path(SHAPES).read_text().splitlines()
    done = run("complete", f"{SHAPES}:24:16")
    assert done.returncode == 0, done.stderr
    assert text[22] in done.stdout
    assert text[25] in done.stdout
    assert "\033" not in done.stdout  # colours are for terminals
    answer = json.loads(run("complete", f"{SHAPES}:24:16", "--json").stdout)
    assert answer["text"]
    assert "        return " + answer["text"] in done.stdout
    assert answer["tokens"] > 0


def test_complete_streams_what_the_engine_says_into_the_file(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "a.py").write_text("x = \ny = 1\n")
    assert command("complete", f"{tmp_path}/a.py:1:5", says="sum(values)\n") == (
        0,
        "x = sum(values)\ny = 1\n\n",
        "",
    )


def test_complete_prints_json_for_programs(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = ")
    place = f"{tmp_path}/a.py:1:5"
    status, out, _ = command("complete", place, "--json", says="é")
    assert (status, json.loads(out)) == (0, {"text": "é", "tokens": 1, "score": -0.1})
    assert "é" in out


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["shown", "json"])
def test_nothing_to_show_is_a_status_of_its_own(
    command: Command, tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "a.py").write_text("x = ")
    status, out, err = command("complete", f"{tmp_path}/a.py:1:5", *options, says="  ")
    assert status == 3
    assert "nothing to add" in (out if options else err)
    if options:
        assert json.loads(out)["text"] is None


def test_a_file_that_is_named_is_completed_though_it_is_excluded(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("KEY=")
    assert command("complete", f"{tmp_path}/.env:1:5", says="value")[:2] == (0, "KEY=value\n")


def test_a_failure_of_the_engine_is_explained_in_one_line(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise EngineError("the GPU ran out of memory")

    (tmp_path / "a.py").write_text("x = ")
    monkeypatch.setattr(ScriptedEngine, "generate", fail)
    status, _, err = command("complete", f"{tmp_path}/a.py:1:5", says="x")
    assert (status, err) == (1, "santa-lsp: the GPU ran out of memory\n")


def test_complete_reads_stdin(engine: CTranslate2Engine) -> None:
    stdin = Path(SHAPES).read_bytes()
    from_stdin = run("complete", "-:24:16", "--language", "python", "--json", stdin=stdin)
    # Nobody knows the name of what is piped in, and the model is told names: so as if unnamed.
    lines = Path(SHAPES).read_text().split("\n")
    prefix, suffix = "\n".join(lines[:23]) + "\n" + lines[23][:15], "\n".join(["", *lines[24:]])
    context = CompletionContext("python", "", prefix, suffix, trigger="invoked")
    expected = Completer(engine, Settings(), CompletionCache()).complete(context)
    assert expected.texts
    assert json.loads(from_stdin.stdout)["text"] == expected.texts[0]


def test_new_tokens_can_be_limited(command: Command) -> None:
    status, out, _ = command("complete", f"{SHAPES}:24:16", "-n", "2", "--json", says="value")
    assert (status, json.loads(out)["text"]) == (0, "va")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("examples/shapes.py", "expected FILE:LINE:COLUMN"),
        ("examples/shapes.py:1", "expected FILE:LINE:COLUMN"),
        ("examples/shapes.py:x:1", "expected FILE:LINE:COLUMN"),
        ("examples/none.py:1:1", "cannot be read"),
        ("examples:1:1", "cannot be read"),
        ("examples/shapes.py:999:1", "has 33 lines"),
        ("examples/shapes.py:1:999", "has columns 1 to"),
        ("examples/shapes.py:0:1", "no line 0"),
    ],
)
def test_a_bad_place_is_a_usage_error(command: Command, place: str, words: str) -> None:
    status, _, err = command("complete", place)
    assert status == 2
    assert words in err


def test_binary_and_undecodable_files_are_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\x00\x01\x02")
    (tmp_path / "latin.py").write_bytes("é = 1".encode("latin-1"))
    for name, words in (("a.bin", "binary"), ("latin.py", "not UTF-8 at byte 0")):
        status, _, err = command("complete", f"{tmp_path / name}:1:1")
        assert status == 2
        assert words in err


def test_a_missing_or_damaged_model_fails_in_one_line(command: Command, tmp_path: Path) -> None:
    status, _, err = command("complete", f"{SHAPES}:24:16", "--model", "nothing")
    assert status == 1
    assert err.count("\n") == 1
    directory = tmp_path / "model"
    shutil.copytree(embedded_directory(), directory)
    (directory / "model.bin").write_bytes(b"nothing")
    status, _, err = command("complete", f"{SHAPES}:24:16", "--model", str(directory))
    assert status == 1
    assert "install the model again" in err


def test_options_may_stand_before_the_command(command: Command) -> None:
    status, _, err = command("--model", "nothing", "complete", f"{SHAPES}:24:16")
    assert status == 1
    assert "nothing" in err


def test_a_settings_file_is_read_and_its_mistakes_told(command: Command, tmp_path: Path) -> None:
    config = tmp_path / "santa.toml"
    config.write_text('model = "nothing"\nthreds = 2\n')
    status, _, err = command("complete", f"{SHAPES}:24:16", "--config", str(config))
    assert status == 1
    assert "'nothing'" in err
    assert "did you mean 'threads'" in err
    missing = str(tmp_path / "none.toml")
    status, _, err = command("complete", f"{SHAPES}:24:16", "--config", missing)
    assert status == 1
    assert "cannot be read" in err


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
def test_bad_options_are_usage_errors(command: Command, arguments: list[str]) -> None:
    status, _, err = command(*arguments)
    assert status == 2
    assert err


def test_a_usage_error_of_the_process_is_told_without_a_traceback() -> None:
    done = run("--tcp", "nowhere")
    assert done.returncode == 2
    assert "expected HOST:PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_models_are_listed_and_described(command: Command) -> None:
    status, out, _ = command("models", "list")
    assert status == 0
    assert "santa-mini" in out
    (model,) = json.loads(command("models", "list", "--json")[1])
    assert (model["name"], model["licence"]) == ("santa-mini", "Apache-2.0")
    assert "python" in model["languages"]
    info = json.loads(command("models", "info", "santa-mini")[1])
    assert info["name"] == "santa-mini"
    assert command("models", "info", "nothing")[0] == 1


def test_doctor_measures_and_finds_nothing_wrong(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANTA_LSP_HOME", str(tmp_path))  # where it keeps what it measures
    status, out, _ = command("doctor", "--json")
    findings = json.loads(out)
    assert findings["model"]["name"] == "santa-mini"
    assert findings["speed"][0]["threads"] == 1
    assert findings["speed"][0]["prefill_tokens_per_second"] > 0
    assert findings["speed"][0]["decode_tokens_per_second"] > 0
    assert status == (1 if findings["problems"] else 0)


def test_doctor_says_what_is_wrong_with_a_model(command: Command, tmp_path: Path) -> None:
    directory = tmp_path / "model"
    shutil.copytree(embedded_directory(), directory)
    data = bytearray((directory / "model.bin").read_bytes())
    data[-1] ^= 1
    (directory / "model.bin").write_bytes(data)
    status, out, _ = command("doctor", "--model", str(directory))
    assert status == 1
    assert "model.bin is damaged" in out


@pytest.mark.parametrize("transport", ["--tcp", "--ws"])
def test_an_address_in_use_fails_in_one_line(command: Command, transport: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, _, err = command(transport, f"127.0.0.1:{taken.getsockname()[1]}")
    assert status == 1
    assert "cannot listen there" in err
    assert err.count("\n") == 1


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
