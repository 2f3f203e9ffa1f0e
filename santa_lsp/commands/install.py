"""`santa-lsp models add`: a hub id or a local checkpoint -> a model among the user's own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from santa_lsp import EMBEDDED
from santa_lsp.convert import ConvertError, convert, require_quantization
from santa_lsp.models import Model, ModelError, home, hub, open_model
from santa_lsp.models.catalogue import CATALOGUE, Licence
from santa_lsp.models.files import whole_folder, write_whole


def add(
    source: str,
    *,
    name: str | None,
    revision: str | None,
    quantization: str,
    accept: Callable[[Licence, str], bool],
    on_progress: Callable[[int, int], None],
) -> Model:
    """Download when `source` is no path, convert, and return the installed model.

    `accept` is called once for each repository, with its licence and a line about the download.
    Raises ModelError.
    """
    require_quantization(quantization)
    path = Path(source).expanduser()
    name = name or _name_of(path)
    output = _free_place(name)
    if path.exists():
        if (path / "santa.json").is_file():
            return _copy(open_model(path), output)
        convert(path, output, name=name, quantization=quantization, on_progress=on_progress)
        return open_model(output)
    repository = hub.look_up(source, revision)
    licence, languages = _terms(repository)
    _accept_once(repository, licence, accept)
    folder = home() / "downloads" / f"{source.replace('/', '--')}--{repository.commit[:12]}"
    hub.download(repository, folder)
    convert(
        folder,
        output,
        name=name,
        quantization=quantization,
        description={
            "source": f"https://huggingface.co/{source}",
            "revision": repository.commit,
            "licence": licence.name,
            "licence_url": licence.url,
            "use_restrictions": licence.restrictions,
            "languages": languages,
        },
        on_progress=on_progress,
    )
    shutil.rmtree(folder)
    return open_model(output)


def _name_of(path: Path) -> str:
    """The last part of a hub id or folder, and of a file without its ending."""
    if path.exists():
        path = path.resolve()
    return path.stem if path.is_file() else path.name


def _free_place(name: str) -> Path:
    if not name or Path(name).name != name or name.startswith("."):
        raise ModelError(f"{name!r} cannot be a model's name; choose another one with --name")
    output = home() / "models" / name
    if name == EMBEDDED or output.exists():
        raise ModelError(
            f"there is a model {name!r} already; choose another --name, or run "
            f"santa-lsp models remove {name} first"
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    return output


def _copy(model: Model, output: Path) -> Model:
    """Install a directory that is a model already."""
    try:
        with whole_folder(output) as new:
            shutil.copytree(model.directory, new, dirs_exist_ok=True)
    except OSError as error:
        raise ConvertError(f"{output} cannot be written: {error}") from error
    return open_model(output)


def _terms(repository: hub.Repository) -> tuple[Licence, list[str]]:
    if known := CATALOGUE.get(repository.hub_id):
        return known.licence, list(known.languages)
    return Licence(repository.licence, repository.licence_url), list(repository.languages)


def _accept_once(
    repository: hub.Repository, licence: Licence, accept: Callable[[Licence, str], bool]
) -> None:
    record = home() / "accepted-licences.json"
    accepted = json.loads(record.read_text()) if record.is_file() else {}
    if accepted.get(repository.hub_id) == licence.name:
        return
    if not accept(licence, f"{repository.hub_id}, {repository.size / 1e9:.2f} GB to download"):
        raise ModelError(
            f"the licence {licence.name} was not accepted; read {licence.url}, then run the "
            "command again with --accept-license"
        )
    accepted[repository.hub_id] = licence.name
    write_whole(record, json.dumps(accepted, indent=2) + "\n")
