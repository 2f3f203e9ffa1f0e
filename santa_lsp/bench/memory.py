"""The memory of a process in bytes; None where the system does not tell it."""

from __future__ import annotations

import subprocess
from pathlib import Path


def resident(pid: int) -> int | None:
    """Resident set size now."""
    if (found := _from_proc(pid, "VmRSS")) is not None:
        return found
    try:
        done = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True
        )
        return 1024 * int(done.stdout)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None


def peak(pid: int) -> int | None:
    """The largest resident set size so far; the present one where only that is known."""
    return _from_proc(pid, "VmHWM") or resident(pid)


def _from_proc(pid: int, name: str) -> int | None:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    for line in status.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    return None
