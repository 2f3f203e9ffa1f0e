"""`santa-lsp models add` against a local server that speaks the hub's API."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from santa_lsp import models
from santa_lsp.commands import main as cli
from santa_lsp.commands.install import add
from santa_lsp.models import Model, ModelError, speeds
from santa_lsp.models.catalogue import CATALOGUE, OPENRAIL_RESTRICTIONS, Licence
from santa_lsp.models.hub import HubError
from santa_lsp.models.speeds import Measurement
from tests.support.checkpoints import write_checkpoint
from tests.support.fake_hub import COMMIT, Hub, start

ROOT = Path(__file__).parents[1]
SANTA = "bigcode/gpt_bigcode-santacoder"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SANTA_LSP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def hub(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one checkpoint, under two names."""
    from huggingface_hub import constants, file_download

    checkpoint = write_checkpoint(tmp_path / "checkpoint")
    (checkpoint / "LICENSE").write_text("the terms")
    (checkpoint / "README.md").write_text("# A model")
    (checkpoint / "modeling.py").write_text("raise SystemExit")
    files = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
    found = Hub({SANTA: files, "someone/finetune": files})
    found.cards["someone/finetune"] = {"license": "mit", "language": ["code"]}
    server = start(found)
    monkeypatch.setattr(constants, "ENDPOINT", found.url)
    template = found.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # what a cut may lose
    monkeypatch.setattr(file_download.time, "sleep", lambda seconds: None)  # between its retries
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield found
    server.shutdown()
    server.server_close()


def add_model(source: str = SANTA, **options: object) -> Model:
    values = {
        "name": None,
        "revision": None,
        "quantization": "int8",
        "accept": lambda licence, download: True,
        "on_progress": lambda done, total: None,
        **options,
    }
    return add(source, **values)  # type: ignore[arg-type]


def test_a_known_model_is_downloaded_converted_and_described(hub: Hub, home: Path) -> None:
    model = add_model()
    models.verify(model)
    assert models.find("gpt_bigcode-santacoder").directory == home / "models" / model.name
    assert model.card["source"] == f"https://huggingface.co/{SANTA}"
    assert model.card["revision"] == COMMIT
    assert model.card["licence"] == "CodeML OpenRAIL-M v0.1"
    assert model.card["licence_url"].startswith("https://")
    assert model.card["use_restrictions"] == OPENRAIL_RESTRICTIONS
    assert model.card["languages"] == ["python", "java", "javascript"]
    assert (model.directory / "LICENSE").read_text() == "the terms"
    assert not list((home / "downloads").iterdir())
    assert "modeling.py" not in {name for name, _ in hub.requests}


def test_an_unknown_model_has_the_licence_of_its_card(hub: Hub) -> None:
    seen: list[Licence] = []
    model = add_model("someone/finetune", accept=lambda licence, _: not seen.append(licence))
    assert seen == [Licence("mit", "https://huggingface.co/someone/finetune")]
    assert (model.card["licence"], model.card["languages"]) == ("mit", ["code"])


def test_a_cut_connection_is_resumed(hub: Hub) -> None:
    hub.cuts["model.safetensors"] = [100_000, 50_000]
    models.verify(add_model())
    starts = [start for name, start in hub.requests if name == "model.safetensors"]
    assert starts == [0, 100_000, 150_000]


def test_a_lost_connection_leaves_whole_files_to_the_next_call(hub: Hub, home: Path) -> None:
    hub.cuts["model.safetensors"] = [0] * 20
    with pytest.raises(HubError, match="run the same command again"):
        add_model()
    assert not list((home / "downloads").glob("*/model.safetensors"))  # no half file
    assert [model.name for model in models.installed()] == ["santa-mini"]
    hub.cuts.clear()
    hub.requests.clear()
    models.verify(add_model())
    assert {name for name, _ in hub.requests} == {"model.safetensors"}


def test_a_process_that_is_killed_leaves_what_it_has(hub: Hub, home: Path) -> None:
    """A whole file is not asked for again."""
    hub.fail_with = 503
    with pytest.raises(HubError, match="503"):
        add_model()
    hub.fail_with = None
    hub.damaged["model.safetensors"] = b"x" * len(hub.files[SANTA]["model.safetensors"])
    with pytest.raises(HubError, match=r"model\.safetensors arrived damaged \(checksum\)"):
        add_model()
    hub.damaged.clear()
    hub.requests.clear()
    add_model()
    assert hub.requests == [("model.safetensors", 0)]


def test_a_small_file_is_verified_too(hub: Hub) -> None:
    hub.damaged["config.json"] = b"y" * len(hub.files[SANTA]["config.json"])
    with pytest.raises(HubError, match=r"config\.json arrived damaged"):
        add_model()


def test_a_gated_model_is_explained(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.gated.add(SANTA)
    with pytest.raises(HubError, match=r"is gated: log in at https://\S+ and accept.*HF_TOKEN"):
        add_model()
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(HubError, match="is gated"):
        add_model()
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert add_model().name == "gpt_bigcode-santacoder"


@pytest.mark.parametrize(
    ("source", "options", "words"),
    [
        ("nobody/nothing", {}, "no model 'nobody/nothing', or it is private"),
        ("not a name", {}, "neither a folder nor a hub id"),
        (SANTA, {"revision": "v9"}, "no revision 'v9'"),
        (SANTA, {"quantization": "int3"}, "'int3' is not one of int8"),
        (SANTA, {"name": "santa-mini"}, "a model 'santa-mini' already"),
        (SANTA, {"name": "../x"}, "cannot be a model's name"),
        (SANTA, {"name": ".x"}, "cannot be a model's name"),
    ],
)
def test_what_cannot_be_added_is_refused(
    hub: Hub, source: str, options: dict[str, object], words: str
) -> None:
    with pytest.raises(ModelError, match=words):
        add_model(source, **options)
    assert not hub.requests


@pytest.mark.parametrize(
    ("missing", "words"),
    [("tokenizer.json", "no tokenizer.json"), ("model.safetensors", "no weights")],
)
def test_a_repository_without_what_is_needed_is_refused_first(
    hub: Hub, missing: str, words: str
) -> None:
    del hub.files[SANTA][missing]
    with pytest.raises(HubError, match=words):
        add_model()
    assert not hub.requests


@pytest.mark.parametrize("name", ["LICENSE/../../../out", "LICENSES/mit", "x/config.json"])
def test_files_elsewhere_in_a_repository_stay_there(hub: Hub, home: Path, name: str) -> None:
    hub.files[SANTA][name] = b"not asked for"
    add_model()
    assert name not in {asked for asked, _ in hub.requests}


def test_a_revision_is_pinned_to_its_commit(hub: Hub) -> None:
    assert add_model(revision="v1", name="pinned").card["revision"] == COMMIT


def test_without_a_network_the_next_step_is_named(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"cannot be reached.*santa-lsp models add FOLDER"):
        add_model()
    monkeypatch.setattr(constants, "is_offline_mode", lambda: True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        add_model()


def test_a_full_disk_is_seen_before_the_download(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(HubError, match=r"only 0\.0 GB are free"):
        add_model()
    assert not hub.requests


def test_the_licence_is_asked_for_once(hub: Hub) -> None:
    with pytest.raises(ModelError, match=r"not accepted; read https://\S+.*--accept-license"):
        add_model(accept=lambda licence, download: False)
    assert not hub.requests
    add_model(accept=lambda licence, download: True)
    add_model(name="again", accept=lambda licence, download: pytest.fail("asked twice"))


def test_a_checkpoint_that_cannot_be_converted_leaves_no_model(hub: Hub) -> None:
    config = json.loads(hub.files[SANTA]["config.json"])
    hub.files[SANTA]["config.json"] = json.dumps({**config, "model_type": "bert"}).encode()
    with pytest.raises(ModelError, match="another architecture"):
        add_model()
    assert [model.name for model in models.installed()] == ["santa-mini"]


def test_local_folders_are_added(tmp_path: Path, home: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "finetune")
    assert add_model(str(checkpoint)).name == "finetune"
    copied = add_model(str(home / "models" / "finetune"), name="copy")
    models.verify(copied)
    assert copied.directory == home / "models" / "copy"
    assert (checkpoint / "model.safetensors").is_file()


def test_a_removed_model_is_gone(tmp_path: Path, home: Path) -> None:
    add_model(str(write_checkpoint(tmp_path / "finetune")))
    models.remove("finetune")
    assert not list((home / "models").iterdir())
    for name, words in (
        ("finetune", "no model 'finetune' to remove"),
        ("santa-mini", "comes with santa-lsp"),
        ("../home", "no model"),
    ):
        with pytest.raises(ModelError, match=words):
            models.remove(name)


def test_an_unfinished_model_is_not_listed(home: Path) -> None:
    shutil.copytree(models.embedded_directory(), home / "models" / ".half.new")
    assert [model.name for model in models.installed()] == ["santa-mini"]


def test_the_catalogue_is_complete() -> None:
    for hub_id, known in CATALOGUE.items():
        assert hub_id.startswith("bigcode/")
        assert "OpenRAIL" in known.licence.name
        assert known.licence.url.startswith("https://huggingface.co/")
        assert known.licence.restrictions
        assert known.languages
        assert known.parameters > 1e8


def test_the_command_as_people_run_it(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["models", "add", SANTA, "--name", "mine", "--accept-license"]
    done = subprocess.run(
        [sys.executable, "-m", "santa_lsp", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "HF_ENDPOINT": hub.url},
    )
    assert done.returncode == 0, done.stderr
    assert "CodeML OpenRAIL-M v0.1, https://" in done.stdout
    assert "100%" in done.stderr  # progress
    assert "santa-lsp --model mine" in done.stdout
    main("models", "list")
    listed = capsys.readouterr().out
    assert "mine" in listed
    assert "python, java, javascript" in listed
    assert "bigcode/starcoderbase-1b" in listed


def main(*arguments: str) -> int:
    """The command in this process; its exit status."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    return int(ended.value.code or 0) if not isinstance(ended.value.code, str) else 1


@pytest.mark.parametrize(("answer", "accepted"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_a_person_is_asked(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, answer: str, accepted: bool
) -> None:
    terminal = io.StringIO(answer)
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdin", terminal)
    assert main("models", "add", SANTA) == (0 if accepted else 1)
    assert len(models.installed()) == (2 if accepted else 1)


def test_without_a_terminal_the_licence_must_be_accepted_by_option(
    hub: Hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert main("models", "add", SANTA) == 1
    shown = capsys.readouterr().out
    assert f"{SANTA}, 0.00 GB to download" in shown
    assert OPENRAIL_RESTRICTIONS in shown
    assert not hub.requests


def test_a_model_without_fim_tokens_is_said_to_be_one(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = write_checkpoint(tmp_path / "plain")
    tokenizer = json.loads((checkpoint / "tokenizer.json").read_text())
    tokenizer["added_tokens"] = [
        token for token in tokenizer["added_tokens"] if "fim" not in token["content"]
    ]
    tokenizer["model"]["vocab"] = {
        token.replace("fim-", "no-"): i for token, i in tokenizer["model"]["vocab"].items()
    }
    (checkpoint / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert main("models", "add", str(checkpoint)) == 0
    assert "before the cursor alone" in capsys.readouterr().out


def test_measured_speed_and_details_are_shown(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main("models", "list")
    assert "not measured" in capsys.readouterr().out
    measured = [Measurement(1, 900.0, 40.0), Measurement(2, 1700.0, 77.0)]
    speeds.record(models.find("santa-mini"), measured)
    main("models", "list")
    assert "77 tokens/s" in capsys.readouterr().out
    main("models", "info", "santa-mini")
    assert json.loads(capsys.readouterr().out)["measured_speed"][1] == {
        "threads": 2,
        "prefill_tokens_per_second": 1700.0,
        "decode_tokens_per_second": 77.0,
    }


def test_remove_says_what_it_did(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("models", "add", str(write_checkpoint(tmp_path / "finetune"))) == 0
    assert main("models", "remove", "finetune") == 0
    assert "removed finetune" in capsys.readouterr().out
    assert main("models", "remove", "finetune") == 1
