"""Any checkpoint -> a GGUF file, for llama.cpp and the servers that are built on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer

from santa_lsp.convert.card import bos_token, prompt_of
from santa_lsp.convert.checkpoint import Checkpoint, open_checkpoint
from santa_lsp.convert.errors import ConvertError
from santa_lsp.convert.gguf_tokenizer import pre_tokenizer_name
from santa_lsp.convert.layouts import from_canonical
from santa_lsp.convert.metadata import GGUF_FIM_ORDER, GGUF_PATH_COMMENT, GGUF_TOKENS
from santa_lsp.convert.tensors import Tensor
from santa_lsp.families import family_named
from santa_lsp.families.forms import PSM, SPM
from santa_lsp.families.gguf import ROPE_FACTORS, metadata_of, rope_factors
from santa_lsp.models.files import whole_file

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType, GGUFWriter

GGUF_QUANTIZATIONS = ("q8_0", "q5_1", "q4_1", "f16", "f32")


def to_gguf(
    checkpoint: Path,
    output: Path,
    *,
    name: str,
    quantization: str = "q8_0",
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write the file `output` and return it; `on_progress` gets tensors done, in all.

    Matrices are quantized where their rows are whole blocks, as llama.cpp's own converter does;
    norms, biases and positions stay in float32. One tensor is in memory at a time.
    Raises ConvertError.
    """
    from gguf import GGUFWriter

    if quantization not in GGUF_QUANTIZATIONS:
        raise ConvertError(
            f"quantization {quantization!r} is not one of {', '.join(GGUF_QUANTIZATIONS)}"
        )
    if output.exists():
        raise ConvertError(f"{output} exists already; remove it or choose another name")
    found = open_checkpoint(checkpoint)
    family, architecture = family_named(found.family), found.architecture
    kind = gguf_architecture(found)
    metadata = {
        "general.name": name,
        **metadata_of(architecture, kind),
        **_tokenizer_metadata(found),
    }
    if licence := found.about.get("licence"):
        metadata["general.license"] = licence
    tensors = from_canonical(found.tensors, family.gguf_layout, architecture)
    if (factors := rope_factors(architecture)) is not None:
        values = np.array(factors, np.float32)
        tensors[ROPE_FACTORS] = Tensor(values.shape, values.copy)
    try:
        with whole_file(output) as building:
            writer = GGUFWriter(building, kind)
            for key, value in metadata.items():
                _add(writer, key, value)
            _write_tensors(writer, tensors, quantization, on_progress)
            writer.close()
    except OSError as error:
        raise ConvertError(f"{output} cannot be written: {error}") from error
    return output


def gguf_architecture(checkpoint: Checkpoint) -> str:
    """What llama.cpp calls the model's architecture. Raises ConvertError when it has none."""
    architecture, family = checkpoint.architecture, family_named(checkpoint.family)
    scales = (
        architecture.embedding_scale,
        architecture.attention_scale,
        architecture.residual_scale,
        architecture.logit_scale,
    )
    if scales != (1, None, 1, 1):
        if "granite" in family.gguf:
            return "granite"
        raise ConvertError("llama.cpp's architecture has no such scale of attention")
    # Each of llama.cpp's architectures has one activation.
    wanted = "silu" if architecture.gated else "gelu_tanh"
    if architecture.activation != wanted:
        raise ConvertError(f"llama.cpp's architecture has {wanted}, not {architecture.activation}")
    return next(iter(family.gguf))


def _write_tensors(
    writer: GGUFWriter,
    tensors: Mapping[str, Tensor],
    quantization: str,
    on_progress: Callable[[int, int], None],
) -> None:
    from gguf import GGMLQuantizationType
    from gguf.quants import quant_shape_to_byte_shape, quantize

    wanted = GGMLQuantizationType[quantization.upper()]
    kinds = {}
    for name, tensor in tensors.items():
        kind = kinds[name] = _kind_of(name, tensor.shape, wanted)
        size = int(np.prod(quant_shape_to_byte_shape(tensor.shape, kind)))
        writer.add_tensor_info(name, tensor.shape, np.dtype(np.float32), size, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for done, (name, tensor) in enumerate(tensors.items(), start=1):
        writer.write_tensor_data(quantize(tensor.read(), kinds[name]))
        on_progress(done, len(tensors))


def _kind_of(
    name: str, shape: tuple[int, ...], wanted: GGMLQuantizationType
) -> GGMLQuantizationType:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    small = len(shape) == 1 or name.startswith("position_embd.")
    if small or shape[-1] % GGML_QUANT_SIZES[wanted][0]:
        return GGMLQuantizationType.F32
    return wanted


def _tokenizer_metadata(checkpoint: Checkpoint) -> dict[str, Any]:
    """Raises ConvertError for a tokenizer that llama.cpp has no name for."""
    from gguf import TokenType

    tokenizer, vocab_size = checkpoint.tokenizer, checkpoint.architecture.vocab_size
    form, (end, *_) = prompt_of(checkpoint)
    bos = bos_token(checkpoint.tokenizer, checkpoint.metadata)
    added = tokenizer.get_added_tokens_decoder()
    tokens, kinds = [], []
    for number in range(vocab_size):
        token = tokenizer.id_to_token(number)
        tokens.append(token or f"[PAD{number}]")
        kind = TokenType.NORMAL if token is not None else TokenType.UNUSED
        if number in added:
            kind = TokenType.CONTROL if added[number].special else TokenType.USER_DEFINED
        kinds.append(int(kind))
    values: dict[str, Any] = {
        "model": "gpt2",
        "pre": pre_tokenizer_name(tokenizer),
        "tokens": tokens,
        "token_type": kinds,
        "merges": _merges(tokenizer),
        "bos_token_id": tokenizer.token_to_id(bos or end),
        "eos_token_id": tokenizer.token_to_id(end),
        "add_bos_token": bos is not None,
    }
    if form is not None:
        keys = {part: key for key, part in GGUF_TOKENS.items() if key.startswith("fim_")}
        values |= {keys[part]: mark.id for part, mark in form.marks.items()}
    metadata = {f"tokenizer.ggml.{key}": value for key, value in values.items()}
    if form is not None and form.order in (PSM, SPM):
        metadata[GGUF_FIM_ORDER] = "spm" if form.order == SPM else "psm"
    if checkpoint.path_comment:
        metadata[GGUF_PATH_COMMENT] = True
    return metadata


def _merges(tokenizer: Tokenizer) -> list[str]:
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [each if isinstance(each, str) else " ".join(each) for each in merges]


def _add(writer: GGUFWriter, key: str, value: Any) -> None:
    add: dict[type, Callable[[str, Any], None]] = {
        bool: writer.add_bool,
        int: writer.add_uint32,
        float: writer.add_float32,
        str: writer.add_string,
        list: writer.add_array,
    }
    add[type(value)](key, value)
