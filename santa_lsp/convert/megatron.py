"""The nested dictionaries that Megatron-LM saves: its tensors under flat names, its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from santa_lsp.convert.errors import ConvertError
from santa_lsp.convert.pickle_file import Inert
from santa_lsp.convert.tensors import Tensor, some_rows
from santa_lsp.families.architecture import Architecture
from santa_lsp.families.family import Layout
from santa_lsp.families.gpt_bigcode import megatron_layout, read_megatron

#: Padded for tensor parallelism.
_PADDED = ("embedding.word_embeddings.weight", "output_layer.weight")


def flatten(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Tensors such as `encoder.layers.0.mlp.dense_h_to_4h.weight`. Raises ConvertError."""
    try:
        model = checkpoint["model"]["language_model"]
        encoder = model["encoder"] if "encoder" in model else model["transformer"]
        found = {
            f"embedding.{name}.weight": model["embedding"][name]["weight"]
            for name in ("word_embeddings", "position_embeddings")
        }
        if "output_layer" in model:
            found["output_layer.weight"] = model["output_layer"]["weight"]
        for name, tensor in encoder.items():
            # Older versions call the attention so.
            found[f"encoder.{name.replace('.attention.', '.self_attention.')}"] = tensor
    except (KeyError, TypeError, AttributeError) as error:
        raise ConvertError(f"the Megatron-LM checkpoint has no {error}") from error
    return {name: tensor for name, tensor in found.items() if isinstance(tensor, Tensor)}


def architecture_of(checkpoint: Mapping[str, Any], layout: Layout) -> Architecture:
    """What its arguments say. Raises ConvertError, FamilyError."""
    arguments = checkpoint.get("args")
    if not isinstance(arguments, Inert):
        raise ConvertError("the Megatron-LM checkpoint has no args; write a config.json beside it")
    return read_megatron(vars(arguments), multi_query=not layout.rows_by_head)


def layout_of(checkpoint: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Layout:
    """Raises ConvertError for an order of rows that differs from today's."""
    layout = megatron_layout({name: tensor.shape for name, tensor in tensors.items()})
    if layout.rows_by_head and float(checkpoint.get("checkpoint_version", 0)) < 2:
        raise ConvertError(
            "checkpoint_version is below 2, whose order of multi-head rows differs; "
            "load it with a newer Megatron-LM and save it again"
        )
    return layout


def without_padding(tensors: Mapping[str, Tensor], vocab_size: int) -> dict[str, Tensor]:
    """Embedding and head with the rows of real tokens alone."""
    return {
        name: some_rows(tensor, 0, vocab_size)
        if name in _PADDED and tensor.shape[0] > vocab_size
        else tensor
        for name, tensor in tensors.items()
    }
