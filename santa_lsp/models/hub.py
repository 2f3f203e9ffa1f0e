"""The Hugging Face hub: the files of a repository, and their verified, resumable download."""

from __future__ import annotations

import fnmatch
import hashlib
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from santa_lsp.models import ModelError

#: Weights in the order of preference; the first pattern that a repository has is downloaded.
_WEIGHTS = (
    ("model.safetensors",),
    ("model.safetensors.index.json", "model-*-of-*.safetensors"),
    ("pytorch_model.bin",),
    ("pytorch_model.bin.index.json", "pytorch_model-*-of-*.bin"),
    ("model_optim_rng.pt",),
    ("mp_rank_00/model_optim_rng.pt",),
    ("iter_*/mp_rank_00/model_optim_rng.pt", "latest_checkpointed_iteration.txt"),
)
_BESIDE = (
    *("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"),
    *("LICENSE*", "LICENCE*", "NOTICE*", "README.md"),
)


class HubError(ModelError):
    """A download that cannot go on. The message names the next step."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository. Large files have a sha256, the others git's own checksum."""

    name: str
    size: int
    sha256: str | None
    git_sha1: str | None


@dataclass(frozen=True, slots=True)
class Repository:
    """The files of a repository that a model needs, at one commit."""

    hub_id: str
    commit: str
    files: tuple[HubFile, ...]
    licence: str
    licence_url: str
    languages: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(file.size for file in self.files)


def look_up(hub_id: str, revision: str | None) -> Repository:
    """Ask the hub for a repository's files at a branch, tag or commit. Raises HubError."""
    from huggingface_hub import HfApi

    with _explained(hub_id, revision):
        info = HfApi().model_info(hub_id, revision=revision, files_metadata=True, timeout=30)
    found = {
        sibling.rfilename: HubFile(
            sibling.rfilename,
            sibling.size or 0,
            sibling.lfs.sha256 if sibling.lfs else None,
            None if sibling.lfs else sibling.blob_id,
        )
        for sibling in info.siblings or ()
    }
    card = info.card_data
    licence = str((card and (card.license_name or card.license)) or "unknown")
    languages = (card and card.language) or ()
    return Repository(
        hub_id,
        str(info.sha),
        tuple(found[name] for name in _choose(hub_id, sorted(found))),
        licence,
        str((card and card.license_link) or f"https://huggingface.co/{hub_id}"),
        (languages,) if isinstance(languages, str) else tuple(languages),
    )


def _choose(hub_id: str, names: Sequence[str]) -> list[str]:
    """The files to download: one set of weights and the files beside it. Raises HubError."""
    if "tokenizer.json" not in names:
        raise HubError(
            f"{hub_id} has no tokenizer.json; download the repository, save its tokenizer with "
            "transformers' AutoTokenizer, and run santa-lsp models add FOLDER"
        )
    for patterns in _WEIGHTS:
        weights = [name for name in names if _matches(name, patterns)]
        if any(_matches(name, patterns[:1]) for name in weights):
            return [name for name in names if _matches(name, _BESIDE)] + weights
    raise HubError(
        f"{hub_id} has no weights that santa-lsp can convert; choose a repository with "
        "safetensors, pytorch_model.bin or a Megatron-LM checkpoint"
    )


def _matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a path matches a pattern part by part; a * matches neither a slash nor ".."."""
    parts = name.split("/")
    return ".." not in parts and any(
        len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))
        for wanted in (pattern.split("/") for pattern in patterns)
    )


def download(repository: Repository, folder: Path) -> None:
    """Download every file into `folder` and test its checksum. Reuses files of an earlier call.

    Raises HubError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    present = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    free = shutil.disk_usage(folder).free
    if free < repository.size - present:
        raise HubError(
            f"{repository.hub_id} needs {(repository.size - present) / 1e9:.1f} GB, and only "
            f"{free / 1e9:.1f} GB are free in {folder}; free some, or set SANTA_LSP_HOME to a "
            "folder on another disk"
        )
    from huggingface_hub import errors, hf_hub_download

    for file in repository.files:
        path = folder / file.name
        if path.is_file() and _is_whole(file, path):
            continue
        with _explained(repository.hub_id, repository.commit):
            try:
                hf_hub_download(
                    repository.hub_id, file.name, revision=repository.commit, local_dir=folder
                )
            except errors.LocalEntryNotFoundError as error:
                raise error.__cause__ or error from None  # the hub's own answer, or its silence
        if not _is_whole(file, path):
            path.unlink()
            raise HubError(f"{file.name} arrived damaged (checksum); run the same command again")


def _is_whole(file: HubFile, path: Path) -> bool:
    with path.open("rb") as data:
        if file.sha256:
            return hashlib.file_digest(data, "sha256").hexdigest() == file.sha256
        blob = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
        blob.update(data.read())
        return file.git_sha1 in (None, blob.hexdigest())


@contextmanager
def _explained(hub_id: str, revision: str | None) -> Iterator[None]:
    """The library's errors as HubErrors, which name the next step."""
    from huggingface_hub import errors

    page = f"https://huggingface.co/{hub_id}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise HubError(
            f"{hub_id} is gated: log in at {page} and accept its conditions, make a token at "
            "https://huggingface.co/settings/tokens, set HF_TOKEN to it and run the command again"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise HubError(f"{hub_id} has no revision {revision!r}; see {page}/commits") from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(
            f"the hub has no model {hub_id!r}, or it is private (then set HF_TOKEN); see {page}"
        ) from error
    except errors.HFValidationError as error:
        raise HubError(f"{hub_id!r} is neither a folder nor a hub id such as NAME/MODEL") from error
    except errors.OfflineModeIsEnabled as error:
        raise HubError(f"HF_HUB_OFFLINE is set; unset it to download {hub_id}") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        refused = (
            "refused it: check HF_TOKEN" if status in (401, 403) else "failed: try again later"
        )
        raise HubError(f"the hub answered {status} for {hub_id} and {refused}") from error
    except OSError as error:
        raise HubError(f"{hub_id} was not downloaded: {_one_line(error)}; run it again") from error
    except Exception as error:
        # The library's HTTP client, whose errors have no public base, differs between versions.
        if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2", "requests"):
            raise
        raise HubError(
            f"the hub cannot be reached ({_one_line(error)}); run the same command again, which "
            f"keeps the files that have arrived, or download {page} on a machine with a network, "
            "copy it here and run santa-lsp models add FOLDER"
        ) from error


def _one_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__
