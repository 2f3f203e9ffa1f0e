"""A checkpoint on disk: its architecture, and its tensors under canonical names."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from santa_lsp import families
from santa_lsp.convert import files, layouts, megatron
from santa_lsp.convert.errors import ConvertError
from santa_lsp.convert.gguf_file import MAGIC as GGUF_MAGIC
from santa_lsp.convert.gguf_file import read_gguf
from santa_lsp.convert.gguf_tokenizer import read_tokenizer
from santa_lsp.convert.metadata import GGUF_PATH_COMMENT, said_by_card, said_by_files, said_by_gguf
from santa_lsp.convert.model_bin import read_model_bin
from santa_lsp.convert.pickle_file import ZIP_MAGIC, read_pickle
from santa_lsp.convert.safetensors_file import is_safetensors, read_safetensors
from santa_lsp.convert.tensors import Tensor
from santa_lsp.families.architecture import Architecture, FamilyError
from santa_lsp.families.family import Family, Layout
from santa_lsp.families.gguf import ROPE_FACTORS, config_of

#: Files about the weights that stay with them when they are converted.
_NOTICES = ("LICENSE*", "LICENCE*", "NOTICE*", "README.md")
#: What a model's card says that is as true of a model made from it.
_KEPT = ("source", "revision", "licence", "licence_url", "use_restrictions", "languages")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Canonical tensors (see santa_lsp.families.architecture), still on disk, and what goes
    with them.

    `metadata` is what the files say of the prompt's form and of special tokens, for
    santa_lsp.families.forms; `about` goes into the card. Without a `tokenizer_path` the tokenizer
    is in the same file as the weights.
    """

    family: str
    architecture: Architecture
    tensors: Mapping[str, Tensor]
    tokenizer: Tokenizer
    tokenizer_path: Path | None
    notices: tuple[Path, ...]
    path_comment: bool  # whether it was taught to see santa_lsp.families.prompt.path_comment
    metadata: Mapping[str, Any]
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Model:
    """What the weights' file and its configuration give."""

    family: Family
    architecture: Architecture
    tensors: Mapping[str, Tensor]


def open_checkpoint(path: Path) -> Checkpoint:
    """Of a folder, a Megatron-LM run's folder, a weights file, a GGUF file or a model directory.

    Raises ConvertError.
    """
    weights = files.find_weights(path)
    try:
        if files.start_of(weights).startswith(GGUF_MAGIC):
            return _open_gguf(weights, path if path.is_dir() else None)
        # A Megatron-LM file lies two folders below the run's, where people put the rest.
        folders = [weights.parent, *weights.parent.parents]
        folders = folders[: folders.index(path if path.is_dir() else path.parent) + 1]
        return _open_files(path, weights, folders)
    except FamilyError as error:
        raise ConvertError(str(error)) from error
    except OSError as error:
        raise ConvertError(f"{weights} cannot be read: {error}") from error


def _open_gguf(path: Path, folder: Path | None) -> Checkpoint:
    file = read_gguf(path)
    metadata, tensors = file.metadata, dict(file.tensors)
    model_type = families.gguf_model_type(str(metadata.get("general.architecture")))
    factors = tensors.pop(ROPE_FACTORS, None)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    rope_factors = None if factors is None else factors.read().tolist()
    config = config_of(metadata, model_type, shapes, rope_factors)
    family, architecture = families.read_architecture(config)
    rotary = architecture.rotary
    if family.gguf_layout.interleaved and rotary and rotary.dim != architecture.head_dim:
        raise ConvertError(
            "rotary positions of a part of each head are not supported in GGUF files"
        )
    return Checkpoint(
        family.name,
        architecture,
        layouts.to_canonical(tensors, family.gguf_layout, architecture),
        read_tokenizer(metadata),
        None,
        _notices(folder) if folder else (),
        path_comment=bool(metadata.get(GGUF_PATH_COMMENT)),
        metadata={**family.metadata, **said_by_gguf(metadata)},
        about={
            "licence": str(metadata.get("general.license", "")),
            "licence_url": str(metadata.get("general.license.link", "")),
            "source": str(metadata.get("general.source.url", metadata.get("general.url", ""))),
        },
    )


def _open_files(path: Path, weights: Path, folders: list[Path]) -> Checkpoint:
    card = files.read_json(files.find(folders, "santa.json"))
    config_file = files.find(folders, "config.json")
    if weights.name == files.MODEL_BIN:
        model = _Model(*read_model_bin(weights, card))
        config = {}
    else:
        config = files.read_json(config_file)
        model = _read_model(weights, config if config_file else None)
    tokenizer = files.find(folders, "tokenizer.json")
    if tokenizer is None:
        raise ConvertError(f"{path} has no tokenizer.json; copy the model's own into it")
    loaded = _load_tokenizer(tokenizer)
    return Checkpoint(
        model.family.name,
        model.architecture,
        model.tensors,
        loaded,
        tokenizer,
        _notices(folders[-1]),
        path_comment=bool(config.get("path_comment") or card.get("path_comment")),
        metadata={
            "name": f"{config.get('_name_or_path', '')} {path.resolve().name}",
            **model.family.metadata,
            **said_by_files(config, folders, loaded),
            **said_by_card(card),
        },
        about={key: card[key] for key in _KEPT if key in card},
    )


def _notices(folder: Path) -> tuple[Path, ...]:
    return tuple(
        sorted({file for each in _NOTICES for file in folder.glob(each) if file.is_file()})
    )


def _load_tokenizer(path: Path) -> Tokenizer:
    files.start_of(path)
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise ConvertError(f"{path} cannot be read: {error}") from error


def _read_model(weights: Path, config: Mapping[str, Any] | None) -> _Model:
    """Raises ConvertError, FamilyError."""
    found = _read_weights(weights)
    if "model" in found:
        return _megatron_model(found, config)
    if config is None:
        raise ConvertError(f"{weights.parent} is no checkpoint: it has no config.json")
    tensors = {str(name): each for name, each in found.items() if isinstance(each, Tensor)}
    family, architecture = families.read_architecture(config)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    layout = family.layout(shapes, architecture)
    said = config.get("tie_word_embeddings")
    return _fit(family, architecture, tensors, layout, said)


def _megatron_model(found: Mapping[str, Any], config: Mapping[str, Any] | None) -> _Model:
    tensors = megatron.flatten(found)
    layout = megatron.layout_of(found, tensors)
    if config is None:
        family = families.family_named("gpt_bigcode")
        architecture = megatron.architecture_of(found, layout)
    else:
        family, architecture = families.read_architecture(config)
    tensors = megatron.without_padding(tensors, architecture.vocab_size)
    return _fit(family, architecture, tensors, layout, None)


def _fit(
    family: Family,
    architecture: Architecture,
    tensors: Mapping[str, Tensor],
    layout: Layout,
    said_tied: bool | None,
) -> _Model:
    tied = layouts.is_tied(tensors, layout, said_tied)
    if tied:
        tensors = layouts.without_head(tensors, layout)
    architecture = dataclasses.replace(architecture, tied=tied)
    return _Model(
        family,
        architecture,
        layouts.to_canonical(tensors, layout, architecture, family.buffers),
    )


def _read_weights(path: Path) -> Mapping[str, Any]:
    """What a file holds, whatever its name. Raises ConvertError."""
    if path.name.endswith(".index.json"):
        return _read_shards(path)
    start = files.start_of(path)
    if is_safetensors(start):
        return read_safetensors(path)
    if not start.startswith(ZIP_MAGIC):
        raise ConvertError(
            f"{path} is neither safetensors, nor GGUF, nor a file of torch.save; "
            "if PyTorch older than 1.6 wrote it, load it there and save it again"
        )
    found = read_pickle(path)
    if not isinstance(found, dict):
        raise ConvertError(f"{path} holds no dictionary of tensors")
    return found


def _read_shards(index: Path) -> dict[str, Any]:
    try:
        names = sorted({str(name) for name in files.read_json(index)["weight_map"].values()})
    except (KeyError, TypeError, AttributeError) as error:
        raise ConvertError(f"{index} is damaged ({error!r}); download it again") from error
    tensors: dict[str, Any] = {}
    for name in names:
        shard = index.parent / name
        if Path(name).name != name or not (shard.is_symlink() or shard.is_file()):
            raise ConvertError(f"{index.parent} has no file {name}, which {index.name} names")
        tensors.update(_read_weights(files.find_weights(shard)))
    return tensors
