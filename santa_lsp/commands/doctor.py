"""`santa-lsp doctor`: machine, model, measured speed, problems and their remedies."""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import sys
import time
from typing import Any

from santa_lsp import __version__, models
from santa_lsp.commands.options import settings_or_warnings
from santa_lsp.completion.engine import EngineError, Stop
from santa_lsp.engines.budget import Budget
from santa_lsp.models import Model, ModelError, machine, speeds
from santa_lsp.models.speeds import Measurement
from santa_lsp.settings import Settings

#: A decode slower than this is felt: a line of 16 tokens takes longer than a second.
SLOW_DECODE = 16.0


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """`doctor` among the sub-commands; `common` has the options about the model."""
    parser = commands.add_parser("doctor", parents=[common], help="machine, model, measured speed")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the findings; exit status 1 when there are problems. Raises SettingsError."""
    findings = examine(settings_or_warnings(arguments))
    print(json.dumps(findings, indent=2) if arguments.json else report(findings))
    if findings["problems"]:
        sys.exit(1)


def examine(settings: Settings) -> dict[str, Any]:
    """The findings that the report and `--json` show. A bad model is one of the problems."""
    import ctranslate2

    problems: list[str] = []
    findings: dict[str, Any] = {
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": machine.processor(),
        "cores": machine.cores(),
        "instruction_sets": machine.instruction_sets(),
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
        findings["speed"], measured = measure(model, settings)
        speeds.record(model, measured, settings.speed_key)
    except (ModelError, EngineError) as error:
        problems.append(str(error))
        return findings
    budget = Budget(speeds.fastest(measured), settings.latency_budget_ms)
    findings["budget"] = {
        "latency_ms": budget.latency_ms,
        "threads": speeds.fastest(measured).threads,
        "cold_prompt_tokens": min(budget.prefill_tokens, model.n_positions),
        "cold_new_tokens": min(budget.new_tokens(budget.prefill_tokens), settings.max_new_tokens),
        "warm_new_tokens": min(budget.new_tokens(0), settings.max_new_tokens),
    }
    decode = budget.speed.decode_tokens_per_second
    if decode < SLOW_DECODE:
        problems.append(
            f"{model.name} decodes {decode:.0f} tokens/s here, which feels slow; use a smaller "
            f"model, or set maxNewTokens to {max(8, int(decode))}"
        )
    if not findings["instruction_sets"]:
        problems.append(
            "this processor has none of the vector instructions that CTranslate2 uses: every model "
            "is slow here, so use a small one"
        )
    return findings


def measure(model: Model, settings: Settings) -> tuple[list[dict[str, float]], list[Measurement]]:
    """Prefill and decode speed for each number of threads worth trying, or the settings' one."""
    from santa_lsp.engines import calibration
    from santa_lsp.engines.ctranslate2 import CTranslate2Engine

    runs, measured = [], []
    for threads in [settings.threads] if settings.threads else machine.thread_counts():
        started = time.perf_counter()
        engine = CTranslate2Engine(model, settings.device, settings.compute_type, threads)
        load_seconds = time.perf_counter() - started
        speed = calibration.measure(engine, threads, Stop())
        assert speed is not None  # its Stop is never set
        measured.append(speed)
        runs.append({**dataclasses.asdict(speed), "load_seconds": round(load_seconds, 3)})
    return runs, measured


def report(findings: dict[str, Any]) -> str:
    """The findings as text."""
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
            f"prefill {run['prefill_tokens_per_second']:.0f} tokens/s, "
            f"decode {run['decode_tokens_per_second']:.0f} tokens/s, "
            f"loaded in {run['load_seconds']:.2f} s"
        )
    if budget := findings.get("budget"):
        lines.append(
            f"budget    {budget['latency_ms']} ms on {budget['threads']} threads; with nothing "
            f"cached: a prompt of {budget['cold_prompt_tokens']} tokens, "
            f"{budget['cold_new_tokens']} new tokens"
        )
        lines.append(
            f"          with the prompt cached: the longest prompt, "
            f"{budget['warm_new_tokens']} new tokens"
        )
    lines.append("models    santa-lsp models list --suggest measures which answer in time here")
    lines += [f"problem   {problem}" for problem in findings["problems"]]
    lines.append("no problems found" if not findings["problems"] else "see the problems above")
    return "\n".join(lines)
