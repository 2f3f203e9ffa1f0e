"""`santa-lsp doctor`: machine, model, how fast they are together, and what is wrong."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from santa_lsp import __version__, models
from santa_lsp.engine import EngineError, GenerationParameters
from santa_lsp.models import Model, ModelError, speeds
from santa_lsp.settings import Settings

#: Instruction sets that CTranslate2's int8 kernels use, best first, by the flag Linux shows.
INSTRUCTION_SETS = ("amx_int8", "avx512_vnni", "avx_vnni", "avx512f", "avx2", "asimddp", "asimd")

#: A decode slower than this is felt: a line of 16 tokens takes longer than a second.
SLOW_DECODE = 16.0


def examine(settings: Settings) -> dict[str, Any]:
    """Everything the report shows, for people's scripts too. Never raises for a bad model."""
    import ctranslate2

    problems: list[str] = []
    findings: dict[str, Any] = {
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "instruction_sets": _instruction_sets(),
        "ctranslate2": ctranslate2.__version__,
        "cuda_devices": ctranslate2.get_cuda_device_count(),
        "compute_types": sorted(ctranslate2.get_supported_compute_types("cpu")),
        "problems": problems,
    }
    try:
        model = models.find(settings.model)
        models.verify(model)
        findings["model"] = {
            "name": model.name,
            "directory": str(model.directory),
            "bytes": model.size,
            "n_positions": model.n_positions,
            "licence": model.card.get("licence"),
        }
        findings["speed"] = measure(model, settings)
        fastest = max(findings["speed"], key=lambda run: run["decode_tokens_per_second"])
        speeds.record(model, fastest)
    except (ModelError, EngineError) as error:
        problems.append(str(error))
        return findings
    decode = fastest["decode_tokens_per_second"]
    if decode < SLOW_DECODE:
        problems.append(
            f"{model.name} decodes {decode:.0f} tokens/s here, which feels slow: use a smaller "
            f"model, or set maxNewTokens to {max(8, int(decode))}"
        )
    if not findings["instruction_sets"]:
        problems.append("no vector instructions known to CTranslate2 were found; it will be slow")
    return findings


def measure(model: Model, settings: Settings) -> list[dict[str, float]]:
    """Prefill and decode speed with one thread and with the settings' number, medians of 3."""
    from santa_lsp.engines.ctranslate2 import CTranslate2Engine

    cores = settings.threads or os.cpu_count() or 1
    runs = []
    for threads in sorted({1, cores}):
        started = time.perf_counter()
        engine = CTranslate2Engine(model, settings.device, settings.compute_type, threads)
        load_seconds = time.perf_counter() - started
        new_tokens = 32
        length = min(512, engine.n_positions - new_tokens)
        ids = engine.encode(Path(__file__).read_text(encoding="utf-8"))
        while len(ids) < length:
            ids += ids
        prefill, decode = [], []
        for run in range(4):
            times = _token_times(engine, ids[:length], new_tokens)
            if run and len(times) > 1:  # the first run warms up
                prefill.append(length / times[0])
                decode.append((len(times) - 1) / max(1e-9, times[-1] - times[0]))
        runs.append(
            {
                "threads": threads,
                "load_seconds": round(load_seconds, 3),
                "prompt_tokens": length,
                "prefill_tokens_per_second": round(median(prefill), 1) if prefill else 0.0,
                "decode_tokens_per_second": round(median(decode), 1) if decode else 0.0,
            }
        )
    return runs


def _token_times(engine: Any, prompt_ids: list[int], new_tokens: int) -> list[float]:
    """Seconds from the call to each token."""
    times: list[float] = []
    started = time.perf_counter()

    def on_token(token: object) -> bool:
        times.append(time.perf_counter() - started)
        return False

    engine.generate(prompt_ids, GenerationParameters(new_tokens, reuse=False), on_token)
    return times


def report(findings: dict[str, Any]) -> str:
    """The findings for a person to read."""
    found = ", ".join(findings["instruction_sets"]) or "none known"
    lines = [
        f"santa-lsp {findings['version']}, Python {findings['python']} ({sys.executable})",
        f"machine   {findings['processor']}, {findings['cores']} cores, {findings['platform']}",
        f"          instruction sets: {found}; CUDA devices: {findings['cuda_devices']}",
        f"engine    CTranslate2 {findings['ctranslate2']}: {', '.join(findings['compute_types'])}",
    ]
    if model := findings.get("model"):
        lines.append(
            f"model     {model['name']}: {model['bytes'] / 1e6:.1f} MB, "
            f"{model['n_positions']} positions, licence {model['licence'] or 'unknown'}"
        )
        lines.append(f"          {model['directory']}")
    for run in findings.get("speed", []):
        lines.append(
            f"speed     {run['threads']} threads: "
            f"prefill {run['prefill_tokens_per_second']:.0f} tokens/s "
            f"({run['prompt_tokens']} tokens), "
            f"decode {run['decode_tokens_per_second']:.0f} tokens/s, "
            f"loaded in {run['load_seconds']:.2f} s"
        )
    lines += [f"problem   {problem}" for problem in findings["problems"]]
    lines.append("nothing is wrong" if not findings["problems"] else "see the problems above")
    return "\n".join(lines)


def processor() -> str:
    """The processor's own name where the system tells it."""
    for line in _cpuinfo():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _instruction_sets() -> list[str]:
    for line in _cpuinfo():
        if line.startswith(("flags", "Features")):
            flags = line.partition(":")[2].split()
            return [name for name in INSTRUCTION_SETS if name in flags]
    return ["asimd"] if platform.machine() == "arm64" else []  # every Apple silicon Mac has it


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
