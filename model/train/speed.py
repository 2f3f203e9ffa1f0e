"""Operations of a model against the speed of the machine."""

from __future__ import annotations

import functools
import math
import time

import torch

from santa_lsp.families.architecture import Architecture


def flops_per_token(architecture: Architecture, length: int, *, frozen: bool = False) -> int:
    """Of forward and backward pass at rows of `length`: 6 for each weight of a matrix product, 4
    for a `frozen` one, and 12 * n_layer * n_head * head_dim * length for attention (Chowdhery et
    al. 2022, arXiv:2204.02311 B). What a causal mask or a window leaves out is counted in."""
    head = architecture.vocab_size * architecture.n_embd
    weights = head + sum(
        math.prod(shape)
        for name, shape in architecture.tensor_shapes().items()
        if name.startswith("h.") and len(shape) == 2
    )
    width = architecture.n_head * architecture.head_dim
    return (4 if frozen else 6) * weights + 12 * architecture.n_layer * width * length


@functools.cache
def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of a large square matrix product on this device now, the best of a few."""
    size = 8192 if device.type == "cuda" else 1024
    a = torch.randn(size, size, device=device).to(dtype)
    times = []
    for _ in range(6):
        start = time.perf_counter()
        b = a @ a
        b[0, 0].item()  # waits for the device
        times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies in it, else float32; never float16 (NaN losses)."""
    if name == "auto":
        name = "bfloat16" if _has_bfloat16(device) else "float32"
    return torch.float32 if name == "float32" else torch.bfloat16


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    found = torch.cpu.get_capabilities()
    return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def worth_compiling(name: str, device: torch.device) -> bool:
    """ "auto" is yes on a GPU."""
    return name == "yes" or (name == "auto" and device.type == "cuda")
