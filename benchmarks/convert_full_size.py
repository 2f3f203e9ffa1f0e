"""Time and peak memory to convert a checkpoint of SantaCoder's full shape, without torch.

    python -m benchmarks.convert_full_size            gpt_bigcode safetensors, float32 -> int8
    python -m benchmarks.convert_full_size --format megatron --dtype float16

Random weights are written first (4.5 GB in float32) and removed at the end. Peak memory is the
resident set's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

FORMATS = ("safetensors", "bin", "custom", "megatron")

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


def write_checkpoint(folder: Path, kind: str, dtype_name: str) -> None:
    """Random weights of the full shape, in the format's own layout."""
    import torch
    from safetensors.torch import save_file

    from benchmarks.random_model import SHAPES
    from tests.support import reference

    config = reference.GPTBigCodeConfig(**SHAPES["1.1b"].to_json())
    dtype = getattr(torch, dtype_name)
    torch.set_default_dtype(dtype)
    model = reference.GPTBigCodeForCausalLM(config)
    reference.write_tokenizer(folder)
    custom = kind == "custom"
    values = reference.custom_config(model) if custom else reference.config_values(model)
    reference.write_config(folder, values)
    if kind == "safetensors":
        save_file(reference.weights(model), folder / "model.safetensors")
    elif kind == "bin":
        torch.save(reference.weights(model), folder / "pytorch_model.bin")
    elif kind == "custom":
        torch.save(reference.custom_weights(model), folder / "pytorch_model.bin")
    else:
        torch.save(reference.megatron_checkpoint(model), folder / "model_optim_rng.pt")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--format", choices=FORMATS, default="safetensors")
    parser.add_argument("--dtype", choices=("float32", "float16", "bfloat16"), default="float32")
    parser.add_argument("--quantization", default="int8")
    parser.add_argument("--folder", type=Path, help="where the checkpoint goes; default: temporary")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)  # the writing process
    arguments = parser.parse_args()
    if arguments.write:
        write_checkpoint(arguments.write, arguments.format, arguments.dtype)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        checkpoint, output = Path(folder) / "checkpoint", Path(folder) / "model"
        options = ["--format", arguments.format, "--dtype", arguments.dtype]
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
    result = {
        "format": arguments.format,
        "dtype": arguments.dtype,
        "checkpoint_mb": size // 10**6,
        "quantization": arguments.quantization,
        **json.loads(done.stdout),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
