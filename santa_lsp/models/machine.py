"""The properties of this machine that a model's speed depends on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

#: Instruction sets that CTranslate2's int8 kernels use, best first, as the flags of Linux.
INSTRUCTION_SETS = ("amx_int8", "avx512_vnni", "avx_vnni", "avx512f", "avx2", "asimddp", "asimd")


def cores() -> int:
    """The number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_counts() -> list[int]:
    """Numbers of threads to measure: one, half of the cores (two may share a unit), all."""
    return sorted({1, max(1, cores() // 2), cores()})


def memory() -> int:
    """Bytes of memory that are installed; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return 0


def processor() -> str:
    for line in _cpuinfo():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def instruction_sets() -> list[str]:
    for line in _cpuinfo():
        if line.startswith(("flags", "Features")):
            flags = line.partition(":")[2].split()
            return [name for name in INSTRUCTION_SETS if name in flags]
    return ["asimd"] if platform.machine() == "arm64" else []  # every Apple silicon Mac has it


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
