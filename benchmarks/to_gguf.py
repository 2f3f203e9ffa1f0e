"""Any checkpoint that santa-lsp export takes, as a GGUF file for llama.cpp.

    python -m benchmarks.to_gguf CHECKPOINT model.gguf [--quantization f32]

llama.cpp calls the architecture `starcoder`. As its own converter does, matrices are quantized to
Q8_0 (blocks of 32 values with a scale each), while norms, biases and positions stay in float32.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, GGMLQuantizationType, GGUFWriter, LlamaFileType
from gguf import TokenType as Kind
from gguf.quants import quant_shape_to_byte_shape, quantize
from tokenizers import Tokenizer
from tqdm import tqdm

from santa_lsp.convert.checkpoint import Checkpoint, open_checkpoint
from santa_lsp.families.forms import FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, find_form
from santa_lsp.models.files import whole_file

#: Canonical names (santa_lsp.convert.layouts) and llama.cpp's.
NAMES = {
    "wte": "token_embd",
    "wpe": "position_embd",
    "ln_f": "output_norm",
    "lm_head": "output",
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
F32, Q8_0 = GGMLQuantizationType.F32, GGMLQuantizationType.Q8_0
QUANTIZATIONS = {"q8_0": (Q8_0, LlamaFileType.MOSTLY_Q8_0), "f32": (F32, LlamaFileType.ALL_F32)}


def write_gguf(checkpoint: Path, output: Path, quantization: str = "q8_0") -> None:
    """Write the file, one tensor in memory at a time. Raises ConvertError, ValueError."""
    found = open_checkpoint(checkpoint)
    architecture = found.architecture
    if found.family != "gpt_bigcode" or architecture.activation != "gelu_tanh":
        raise ValueError("only SantaCoder's architecture with tanh-GELU is llama.cpp's starcoder")
    with whole_file(output) as new:
        _write(new, found, quantization)


def _write(path: Path, found: Checkpoint, quantization: str) -> None:
    matrix_kind, file_kind = QUANTIZATIONS[quantization]
    writer = GGUFWriter(path, MODEL_ARCH_NAMES[MODEL_ARCH.STARCODER])
    _write_sizes(writer, found)
    writer.add_file_type(file_kind)
    _write_tokenizer(writer, found.tokenizer, found.architecture.vocab_size)

    kinds = {}
    for name, tensor in found.tensors.items():
        kept = len(tensor.shape) == 1 or name.startswith("wpe.")
        kind = kinds[name] = F32 if kept else matrix_kind
        size = int(np.prod(quant_shape_to_byte_shape(tensor.shape, kind)))
        writer.add_tensor_info(_name(name), tensor.shape, np.dtype(np.float32), size, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for name, tensor in tqdm(found.tensors.items(), desc=quantization, unit="tensor"):
        writer.write_tensor_data(quantize(tensor.read(), kinds[name]))
    writer.close()


def _name(canonical: str) -> str:
    """`h.0.attn.c_attn.weight` -> `blk.0.attn_qkv.weight`."""
    stem, _, kind = canonical.rpartition(".")
    if stem.startswith("h."):
        _, layer, part = stem.split(".", 2)
        return f"blk.{layer}.{NAMES[part]}.{kind}"
    return f"{NAMES[stem]}.{kind}"


def _write_sizes(writer: GGUFWriter, checkpoint: Checkpoint) -> None:
    architecture = checkpoint.architecture
    writer.add_context_length(architecture.n_positions)
    writer.add_embedding_length(architecture.n_embd)
    writer.add_feed_forward_length(architecture.n_inner)
    writer.add_block_count(architecture.n_layer)
    writer.add_head_count(architecture.n_head)
    writer.add_head_count_kv(architecture.n_kv_head)
    writer.add_layer_norm_eps(architecture.norm_epsilon)


def _write_tokenizer(writer: GGUFWriter, tokenizer: Tokenizer, vocab_size: int) -> None:
    """A byte-level BPE; its digits are split one by one, as llama.cpp's "starcoder" does."""
    special = {number for number, each in tokenizer.get_added_tokens_decoder().items()}
    tokens, kinds = [], []
    for number in range(vocab_size):
        token = tokenizer.id_to_token(number)
        tokens.append(token or f"<padding-{number}>")
        kinds.append(
            Kind.UNUSED if token is None else Kind.CONTROL if number in special else Kind.NORMAL
        )
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("starcoder")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([each if isinstance(each, str) else " ".join(each) for each in merges])
    end_of_text = tokenizer.token_to_id("<|endoftext|>")
    writer.add_bos_token_id(end_of_text)
    writer.add_eos_token_id(end_of_text)
    writer.add_add_bos_token(False)
    if (form := find_form(tokenizer.token_to_id, {})) is not None:
        for key, part in (("pre", FIM_PREFIX), ("suf", FIM_SUFFIX), ("mid", FIM_MIDDLE)):
            writer.add_uint32(f"tokenizer.ggml.fim_{key}_token_id", form.marks[part].id)
        writer.add_uint32("tokenizer.ggml.fim_pad_token_id", form.pad)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--quantization", choices=QUANTIZATIONS, default="q8_0")
    arguments = parser.parse_args()
    write_gguf(arguments.checkpoint, arguments.output, arguments.quantization)


if __name__ == "__main__":
    main()
