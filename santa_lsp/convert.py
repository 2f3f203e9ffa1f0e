"""Checkpoint arrays -> a CTranslate2 model directory. Needs neither torch nor transformers.

The canonical names and layouts are those of transformers' gpt_bigcode (nn.Linear [out, in];
`c_attn` rows q | k | v).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ctranslate2.specs import common_spec, transformer_spec
from numpy.typing import NDArray
from tokenizers import Tokenizer

from santa_lsp.prompt import END_OF_TEXT, Order, find_dialect

Array = NDArray[Any]

QUANTIZATIONS = ("int8", "float32")

_ACTIVATIONS = {
    "gelu": common_spec.Activation.GELU,
    "gelu_new": common_spec.Activation.GELUTanh,
    "gelu_fast": common_spec.Activation.GELUTanh,
    "gelu_pytorch_tanh": common_spec.Activation.GELUTanh,
    "relu": common_spec.Activation.RELU,
}


class ConvertError(Exception):
    """A checkpoint that cannot be converted; says why and what to do."""


def convert(
    checkpoint: Path,
    output: Path,
    *,
    name: str,
    quantization: str = "int8",
    description: Mapping[str, object] | None = None,
    on_progress: Callable[[str], None] = lambda message: None,
) -> Path:
    """Write the model directory `output` from a gpt_bigcode checkpoint folder and return it.

    `output` gets `model.bin config.json vocabulary.json tokenizer.json santa.json`; it appears only
    when it is complete. Raises ConvertError.
    """
    if quantization not in QUANTIZATIONS:
        raise ConvertError(
            f"quantization {quantization!r} is not one of {', '.join(QUANTIZATIONS)}"
        )
    if output.exists():
        raise ConvertError(f"{output} exists already; remove it or choose another name")
    on_progress(f"reading {checkpoint}")
    config = _read_config(checkpoint)
    arrays = _read_arrays(checkpoint)
    tokenizer = _read_tokenizer(checkpoint)
    on_progress("converting")
    spec = build_spec(arrays, config, tokenizer)
    spec.validate()
    spec.optimize(quantization=None if quantization == "float32" else quantization)
    building = output.with_name(output.name + ".new")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    on_progress(f"writing {output}")
    spec.save(str(building))
    shutil.copyfile(checkpoint / "tokenizer.json", building / "tokenizer.json")
    write_card(building, name, config, tokenizer, quantization, description or {})
    building.rename(output)
    return output


def build_spec(
    arrays: Mapping[str, Array], config: Mapping[str, Any], tokenizer: Tokenizer
) -> transformer_spec.TransformerDecoderModelSpec:
    """The CTranslate2 model of canonical arrays. Raises ConvertError saying what is wrong."""
    if config.get("model_type") != "gpt_bigcode" or not config.get("multi_query", True):
        raise ConvertError("only gpt_bigcode checkpoints with multi-query attention are supported")
    activation = config.get("activation_function", "gelu_pytorch_tanh")
    if activation not in _ACTIVATIONS:
        raise ConvertError(f"activation {activation!r} is not supported")
    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        config["n_layer"],
        config["n_head"],
        pre_norm=True,
        activation=_ACTIVATIONS[activation],
        multi_query_attention=True,
    )

    def array(name: str, rows: int | None = None) -> Array:
        if name not in arrays:
            raise ConvertError(f"the checkpoint has no tensor {name!r}")
        found = arrays[name]
        if rows is not None and len(found) != rows:
            raise ConvertError(f"{name} has {len(found)} rows, config.json asks for {rows}")
        # CTranslate2 quantizes arrays in place: it must never be given the caller's own.
        return np.array(found, dtype=np.float32, order="C", copy=True)

    def fill_norm(norm: Any, name: str) -> None:
        norm.gamma, norm.beta = array(f"{name}.weight"), array(f"{name}.bias")

    def fill_linear(linear: Any, name: str, rows: int | None = None) -> None:
        linear.weight, linear.bias = array(f"{name}.weight", rows), array(f"{name}.bias", rows)

    n_embd, vocab_size = config["n_embd"], config["vocab_size"]
    head_dim = n_embd // config["n_head"]
    decoder = spec.decoder
    decoder.scale_embeddings = False
    decoder.embeddings.weight = array("transformer.wte.weight", vocab_size)
    decoder.position_encodings.encodings = array("transformer.wpe.weight", config["n_positions"])
    fill_norm(decoder.layer_norm, "transformer.ln_f")
    for index, layer in enumerate(decoder.layer):
        block = f"transformer.h.{index}"
        fill_norm(layer.self_attention.layer_norm, f"{block}.ln_1")
        fill_norm(layer.ffn.layer_norm, f"{block}.ln_2")
        fill_linear(layer.self_attention.linear[0], f"{block}.attn.c_attn", n_embd + 2 * head_dim)
        fill_linear(layer.self_attention.linear[1], f"{block}.attn.c_proj", n_embd)
        fill_linear(layer.ffn.linear_0, f"{block}.mlp.c_fc")
        fill_linear(layer.ffn.linear_1, f"{block}.mlp.c_proj", n_embd)
        # Undocumented in CTranslate2 4.8: without this attribute the cache holds a copy of the one
        # key/value head for every query head. tests/test_convert.py fails if it stops working.
        object.__setattr__(layer.self_attention, "multi_query", np.int8(1))
    head = "lm_head.weight" if "lm_head.weight" in arrays else "transformer.wte.weight"
    decoder.projection.weight = array(head, vocab_size)
    spec.config.layer_norm_epsilon = config.get("layer_norm_epsilon", 1e-5)
    spec.config.bos_token = spec.config.eos_token = spec.config.unk_token = END_OF_TEXT
    spec.register_vocabulary(_vocabulary(tokenizer, vocab_size))
    return spec


def write_card(
    model_dir: Path,
    name: str,
    config: Mapping[str, Any],
    tokenizer: Tokenizer,
    quantization: str,
    description: Mapping[str, object],
) -> None:
    """Write `santa.json`: what the model is, and the sha256 of each file beside it."""
    dialect = find_dialect(tokenizer.token_to_id)
    order: Order = "spm"
    card = {
        "name": name,
        "source": "",
        "revision": "",
        "licence": "",
        "licence_url": "",
        "languages": [],
        "fim_dialect": dialect[0].name if dialect else None,
        "order": order if dialect else None,
        "n_positions": config["n_positions"],
        "parameters": _parameter_count(config),
        "quantization": quantization,
        "scores": {},
        **description,
        "sha256": {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(model_dir.iterdir())
            if file.name != "santa.json"
        },
    }
    (model_dir / "santa.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n")


def _parameter_count(config: Mapping[str, Any]) -> int:
    width = config["n_embd"]
    inner = config.get("n_inner") or 4 * width
    key_value = 2 * width // config["n_head"]
    attention = (width + key_value) * (width + 1) + width * (width + 1)
    layer = attention + inner * (width + 1) + width * (inner + 1) + 4 * width
    embeddings = (config["vocab_size"] + config["n_positions"]) * width
    return int(config["n_layer"] * layer + embeddings + 2 * width)


def _vocabulary(tokenizer: Tokenizer, vocab_size: int) -> list[str]:
    """Tokens in id order; ids the tokenizer lacks (padded embeddings) get names of their own."""
    if tokenizer.token_to_id(END_OF_TEXT) is None:
        raise ConvertError(
            f"tokenizer.json has no {END_OF_TEXT} token, so completions could not end"
        )
    if tokenizer.get_vocab_size() > vocab_size:
        raise ConvertError(
            f"tokenizer.json has {tokenizer.get_vocab_size()} tokens, config.json {vocab_size}"
        )
    return [tokenizer.id_to_token(i) or f"<padding-{i}>" for i in range(vocab_size)]


def _read_config(checkpoint: Path) -> dict[str, Any]:
    path = checkpoint / "config.json"
    if not path.is_file():
        raise ConvertError(f"{checkpoint} is no checkpoint: it has no config.json")
    try:
        config: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise ConvertError(f"{path} is not JSON: {error}") from error
    return config


def _read_tokenizer(checkpoint: Path) -> Tokenizer:
    path = checkpoint / "tokenizer.json"
    if not path.is_file():
        raise ConvertError(f"{checkpoint} has no tokenizer.json; copy the model's own beside it")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise ConvertError(f"{path} cannot be read: {error}") from error


def _read_arrays(checkpoint: Path) -> dict[str, Array]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = checkpoint / "model.safetensors"
    if not path.is_file():
        raise ConvertError(f"{checkpoint} has no model.safetensors")
    try:
        arrays: dict[str, Array] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ConvertError(f"{path} cannot be read: {error}") from error
    return arrays
