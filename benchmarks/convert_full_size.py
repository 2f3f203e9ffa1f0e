"""Time and peak memory to convert a checkpoint of full size, without torch.

    python -m benchmarks.convert_full_size            SantaCoder, float32 safetensors -> int8
    python -m benchmarks.convert_full_size --format megatron --dtype float16
    python -m benchmarks.convert_full_size --shape qwen2.5-coder-0.5b --dtype float16
    python -m benchmarks.convert_full_size --shape qwen2.5-coder-0.5b --format gguf

Random weights are written first (4.5 GB for SantaCoder in float32) and removed at the end. `bin`,
`custom` and `megatron` are SantaCoder's formats alone. Peak memory is the resident set's; a
conversion should stay within twice the largest tensor in float32 and the model that it makes.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.random_model import SHAPES, Shape, random_tensor

FORMATS = ("safetensors", "gguf", "bin", "custom", "megatron")

CONVERT = """
import json, sys, time
sys.modules["torch"] = None
from pathlib import Path
from santa_lsp.convert import convert
started = time.perf_counter()
output = convert(Path(sys.argv[1]), Path(sys.argv[2]), name="full-size", quantization=sys.argv[3])
seconds = time.perf_counter() - started
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({
    "seconds": round(seconds, 1),
    "peak_memory_mb": int(peak.split()[1]) // 1000,
    "model_mb": (output / "model.bin").stat().st_size // 10**6,
}))
"""


def write_checkpoint(folder: Path, shape: Shape, kind: str, dtype_name: str) -> None:
    """Random weights of the shape, in the format's own layout."""
    if kind == "safetensors":
        write_safetensors(folder, shape, dtype_name)
    elif kind == "gguf":
        from santa_lsp.convert.gguf_writer import to_gguf

        with tempfile.TemporaryDirectory(dir=folder.parent) as before:
            write_safetensors(Path(before), shape, dtype_name)
            folder.mkdir()
            to_gguf(Path(before), folder / "model.gguf", name="full-size")
    else:
        write_santacoder(folder, shape, kind, dtype_name)


def write_safetensors(folder: Path, shape: Shape, dtype_name: str) -> None:
    import numpy as np
    import torch
    from safetensors.torch import save_file

    from santa_lsp.families import family_named
    from tests.support import reference

    family, architecture = family_named(shape.family), shape.architecture
    generator, dtype = np.random.default_rng(0), getattr(torch, dtype_name)
    tensors = {}
    for name, size in architecture.tensor_shapes().items():
        tensor = torch.from_numpy(random_tensor(name, size, architecture, generator)).to(dtype)
        parts = family.publish({name: tensor}, architecture, torch.split)
        tensors |= {part: value.contiguous() for part, value in parts.items()}
    reference.write_tokenizer(folder)
    save_file(tensors, folder / "model.safetensors")
    reference.write_config(folder, family.write_config(architecture))


def write_santacoder(folder: Path, shape: Shape, kind: str, dtype_name: str) -> None:
    import torch

    from santa_lsp.families import family_named
    from tests.support import reference

    values = family_named(shape.family).write_config(shape.architecture)
    torch.set_default_dtype(getattr(torch, dtype_name))
    model = reference.GPTBigCodeForCausalLM(reference.GPTBigCodeConfig(**values))
    reference.write_tokenizer(folder)
    custom = kind == "custom"
    values = reference.custom_config(model) if custom else reference.config_values(model)
    reference.write_config(folder, values)
    if kind == "megatron":
        torch.save(reference.megatron_checkpoint(model), folder / "model_optim_rng.pt")
    else:
        weights = reference.custom_weights(model) if custom else reference.weights(model)
        torch.save(weights, folder / "pytorch_model.bin")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="1.1b")
    parser.add_argument("--format", choices=FORMATS, default="safetensors")
    parser.add_argument("--dtype", choices=("float32", "float16", "bfloat16"), default="float32")
    parser.add_argument("--quantization", default="int8")
    parser.add_argument("--folder", type=Path, help="where the checkpoint goes; default: temporary")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)  # the writing process
    arguments = parser.parse_args()
    shape = SHAPES[arguments.shape]
    if arguments.format in FORMATS[2:] and shape.family != "gpt_bigcode":
        parser.error(f"{arguments.format} is not a format of {arguments.shape}")
    if arguments.write:
        write_checkpoint(arguments.write, shape, arguments.format, arguments.dtype)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        checkpoint, output = Path(folder) / "checkpoint", Path(folder) / "model"
        options = [f"--{name}={getattr(arguments, name)}" for name in ("shape", "format", "dtype")]
        subprocess.run(
            [sys.executable, "-m", "benchmarks.convert_full_size", *options, "--write", checkpoint],
            check=True,
        )
        size = sum(file.stat().st_size for file in checkpoint.iterdir())
        done = subprocess.run(
            [sys.executable, "-c", CONVERT, checkpoint, output, arguments.quantization],
            check=True,
            capture_output=True,
            text=True,
        )
    largest = max(math.prod(each) for each in shape.architecture.tensor_shapes().values())
    result = {
        "shape": arguments.shape,
        "format": arguments.format,
        "dtype": arguments.dtype,
        "checkpoint_mb": size // 10**6,
        "largest_tensor_mb": 4 * largest // 10**6,
        "quantization": arguments.quantization,
        **json.loads(done.stdout),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
