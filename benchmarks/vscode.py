"""A VS Code user's waiting times, measured in a real one with the embedded model.

    python -m benchmarks.vscode typing                  key to visible text; requests of a line
    python -m benchmarks.vscode install                 from nothing to the first suggestion
    python -m benchmarks.vscode pictures docs/images    the README's pictures

It uses the workbench, the browser and the .vsix of the editor tests: see `.ci/editors`.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.e2e.vscode.conftest import VSIX, chromium, plain_python
from tests.e2e.vscode.editor import CodeServer, Editor, until
from tests.e2e.vscode.fetch import fetch

ROOT = Path(__file__).parents[1]
FIRST_LINES = ROOT / "examples" / "shapes.py"
#: Typed at a pace that leaves each key its answer.
SLOWLY = "def widest(shapes):\n    return max(shapes, key=lambda shape: shape.width)\n"
KEYS = 30
#: Sixty characters.
LINE = "length = math.sqrt((a.x - b.x) ** 2 + (a.y - b.y) ** 2) * 10"
#: Milliseconds from one key of the line to the next.
PACE_MS = 120
WATCH = """() => {
  const places = '.ghost-text-decoration, .suggest-preview-text';
  const shown = () => [...document.querySelectorAll(places)]
    .map(each => each.textContent).join('');
  window.santa = { waits: [], key: 0, before: '' };
  const pressed = () => { santa.before = shown(); santa.key = performance.now(); };
  addEventListener('keydown', pressed, true);
  const look = () => {
    const now = shown();
    if (santa.key && now && now !== santa.before) {
      santa.waits.push({ ms: performance.now() - santa.key, fresh: now !== santa.before.slice(1) });
      santa.key = 0;
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""


@contextlib.contextmanager
def vscode(folder: Path, env: dict[str, str], settings: dict[str, Any]) -> Iterator[Editor]:
    """A window of VS Code with the extension, and data in a folder."""
    workbench = fetch(ROOT / "build" / "editors" / "vscode")
    with CodeServer(workbench, folder / "user", VSIX) as server, sync_playwright() as playwright:
        server.configure(settings)
        server.start(env)
        with chromium(playwright) as browser:
            page = browser.new_page(viewport={"width": 900, "height": 460})
            yield Editor(page, server)


def typing(folder: Path) -> dict[str, Any]:
    """Milliseconds from a key to the first frame with its text; outcomes of a line's requests."""
    counts = folder / "counts.json"
    program = folder / "santa-lsp"
    program.write_text(
        f"#!/bin/sh\nPYTHONPATH={ROOT} "
        f'exec "{sys.executable}" -m benchmarks.counting_server "{counts}" "$@"\n'
    )
    program.chmod(0o755)
    file = folder / "shapes.py"
    file.write_text(FIRST_LINES.read_text())
    with vscode(folder, dict(os.environ), {"santa.server.path": str(program)}) as editor:
        editor.open(folder, file)
        editor.page.evaluate(WATCH)
        waits: list[dict[str, Any]] = []
        while sum(wait["fresh"] for wait in waits) < KEYS:
            for key in SLOWLY:
                editor.type(key)
                editor.page.wait_for_timeout(500)
            waits = editor.page.evaluate("santa.waits")
        editor.press("Escape")
        editor.page.wait_for_timeout(2000)
        before = read_counts(counts)
        editor.type(LINE, delay_ms=PACE_MS)
        editor.page.wait_for_timeout(2000)
        line = read_counts(counts) - before
    fresh = sorted(wait["ms"] for wait in waits if wait["fresh"])
    typed_through = [wait["ms"] for wait in waits if not wait["fresh"]]
    return {
        "key_to_text_ms": {
            "keys": len(fresh),
            "p50": round(statistics.median(fresh)),
            "p95": round(statistics.quantiles(fresh, n=20)[-1]),
        },
        "key_typed_through_ms": {
            "keys": len(typed_through),
            "p50": round(statistics.median(typed_through)) if typed_through else None,
        },
        "line": {"characters": len(LINE), "ms_between_keys": PACE_MS, **line},
    }


def read_counts(file: Path) -> collections.Counter[str]:
    """The number of requests, and of each outcome."""
    found = json.loads(file.read_text())
    requests = {name: found[name] for name in ("requests", "dropped", "superseded")}
    return collections.Counter({**requests, **found["answered"]})


def install(folder: Path) -> dict[str, float]:
    """Seconds of each step of a user who has a Python, VS Code and the .vsix."""
    project = folder / "project"
    project.mkdir()
    file = project / "shapes.py"
    file.write_text(FIRST_LINES.read_text())
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env |= {"PATH": f"{plain_python(folder / 'bin')}:/usr/bin:/bin", "PIP_NO_CACHE_DIR": "1"}
    seconds: dict[str, float] = {}
    started = time.monotonic()

    def done(step: str) -> None:
        nonlocal started
        seconds[step] = round(time.monotonic() - started, 1)
        started = time.monotonic()

    with vscode(folder, env, {}) as editor:
        done("install the extension, start VS Code")
        editor.open(project, file, ready=False)
        message = editor.notification("Santa needs its server")
        done("open a folder, be asked")
        message.get_by_role("button", name="Install", exact=True).click()
        for step, words in (
            ("make the environment", "downloading what the server needs"),
            ("download and install", "checking the server"),
        ):
            until(lambda words=words: words in editor.server.log_of_extension(), words, 400)
            done(step)
        editor.status("ready", 100)
        done("start the server, load the model")
        editor.page.click(".monaco-editor .view-lines")
        editor.press("Control+End")
        editor.type("class Point:\n    def __init__(self, x, y):\n    self.x = x\nself.y")
        editor.suggestion()
        done("type to a first suggestion")
    seconds["all"] = round(sum(seconds.values()), 1)
    return seconds


SCENE = "// The sum of all items.\nfunction total(items) {\n  let sum = 0;\n"
TAKES = ("  for (let i = 0; i < items.", "sum += items")


def pictures(folder: Path, output: Path) -> dict[str, int]:
    """A still, and an animation of a loop being typed, with the settings that users have."""
    output.mkdir(parents=True, exist_ok=True)
    project = folder / "demo"
    project.mkdir()
    file = project / "total.js"
    file.write_text(SCENE)
    settings = {
        "santa.minConfidence": 0.4,
        "santa.interpreter": sys.executable,
        "editor.fontSize": 17,
        "workbench.activityBar.location": "hidden",
        "javascript.validate.enable": False,
        "editor.cursorBlinking": "solid",
    }
    frames: list[tuple[Image.Image, int]] = []
    with vscode(folder, dict(os.environ), settings) as editor:
        editor.open(project, file)
        editor.command("View: Close Primary Side Bar")
        editor.page.click(".monaco-editor .view-lines")
        editor.press("Control+End")
        editor.page.wait_for_timeout(1000)
        box = editor.page.locator(".editor-group-container").first.bounding_box()
        assert box is not None
        clip = {"x": box["x"], "y": box["y"], "width": 620, "height": 230}

        def shoot(milliseconds: int) -> None:
            picture = Image.open(io.BytesIO(editor.page.screenshot(clip=clip)))  # type: ignore[arg-type]
            frames.append((picture.convert("RGB"), milliseconds))

        shoot(600)
        for number, take in enumerate(TAKES):
            for key in take:
                editor.type(key)
                editor.page.wait_for_timeout(250)
                shoot(110)
            editor.suggestion()
            shoot(1200)
            if number == 0:
                editor.page.screenshot(path=output / "vscode.png")
            editor.press("Tab")
            editor.page.wait_for_timeout(250)
            shoot(900)
            if number == 0:
                editor.press("End")
                editor.type(" {")
                editor.press("Enter")
                editor.page.wait_for_timeout(400)
                shoot(500)
        shoot(1500)
    with Image.open(output / "vscode.png") as still:
        still.convert("RGB").quantize(128).save(output / "vscode.png", optimize=True)
    first, *others = [frame.quantize(64, dither=Image.Dither.NONE) for frame, _ in frames]
    first.save(
        output / "vscode.gif",
        save_all=True,
        append_images=others,
        duration=[milliseconds for _, milliseconds in frames],
        loop=0,
        optimize=True,
    )
    return {name.name: name.stat().st_size for name in output.glob("vscode.*")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("typing", "install", "pictures"))
    parser.add_argument("output", nargs="?", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.what == "typing":
            found: dict[str, Any] = typing(Path(folder))
        elif arguments.what == "install":
            found = dict(install(Path(folder)))
        else:
            found = dict(pictures(Path(folder), arguments.output))
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
