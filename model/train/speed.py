"""Operations of a model against the speed of the machine."""

from __future__ import annotations

import functools
import time

import torch

from model.gpt import GPTConfig


def flops_per_token(config: GPTConfig, length: int) -> int:
    """Of forward and backward pass at rows of `length`: 6 for each weight of a matrix product,
    12 * n_layer * n_embd * length for attention (Chowdhery et al. 2022, arXiv:2204.02311 B)."""
    C = config.n_embd
    block = C * (C + 2 * config.head_dim) + C * C + 2 * C * config.n_inner
    weights = config.n_layer * block + config.vocab_size * C
    return 6 * weights + 12 * config.n_layer * C * length


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
