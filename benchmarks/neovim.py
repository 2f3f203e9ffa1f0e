"""A Neovim user's wait for text, measured in real editors with the embedded model.

    python -m benchmarks.neovim                     the table of docs/neovim.md
    python -m benchmarks.neovim --picture FILE.png  a screen with a suggestion
    python -m benchmarks.neovim --film FILE.gif     the same being typed and accepted

Time from key to text: the key goes to an idle editor that shows no suggestion, the clock stops when
the editor has sent a redraw that holds cells of the suggestion. Each key is in a new document, so
that nothing is remembered. Requests: one line typed at an even pace, counted by Neovim's LspRequest
events; the server's own counters have their outcomes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from PIL import Image
from PIL.Image import Dither

from tests.support.neovim import ROOT, Neovim
from tests.support.screen import BACKGROUND, FOREGROUND, SUGGESTION_COLOUR, Screen

DISPLAYS: dict[str, dict[str, Any]] = {
    "0.12, vim.lsp.inline_completion": {"version": "0.12"},
    "0.12, streaming": {"version": "0.12", "streaming": True},
    "0.10": {"version": "0.10"},
}
COLOURS = f"""
vim.o.termguicolors = true
vim.api.nvim_set_hl(0, 'Normal', {{ fg = {FOREGROUND}, bg = {BACKGROUND} }})
vim.api.nvim_set_hl(0, 'ComplHint', {{ fg = {SUGGESTION_COLOUR} }})
vim.api.nvim_set_hl(0, 'SantaSuggestion', {{ fg = {SUGGESTION_COLOUR} }})
"""
COLOURS_KEPT = 32  # of a picture
SHAPES = (ROOT / "examples" / "shapes.py").read_text()
KEYS = 30
#: 60 characters, typed into SHAPES.
LINE = "total = sum(shape.area() * scale for shape in shapes if big)"
PACE = 0.12
COUNT_REQUESTS = """
requests = { pending = 0, cancel = 0, keys = 0 }
vim.api.nvim_create_autocmd('LspRequest', { callback = function(event)
  local request = event.data.request
  if request.method == 'textDocument/inlineCompletion' and requests[request.type] then
    requests[request.type] = requests[request.type] + 1
  end
end })
vim.api.nvim_create_autocmd('TextChangedI', { callback = function()
  requests.keys = requests.keys + 1
end })
"""
COUNTED = (
    "requests",
    "cancelled",
    "superseded",
    "nothing to show",
    "answered by the model",
    "answered from memory",
    "keys without a request",
)
STATISTICS = """
local client = vim.lsp.get_clients({ name = 'santa' })[1]
local reply
require('santa.rpc').execute(client, 'santa.statistics', nil, function(found) reply = found end)
vim.wait(10000, function() return reply ~= nil end, 5)
return reply
"""
#: Keys typed behind PICTURED.
TYPED = ["<lt>" if key == "<" else key for key in "for (let i = 0; i < str."]
PICTURED = """// Which letters of a text are vowels?
const VOWELS = "aeiou";

function isVowel(letter) {
  return VOWELS.includes(letter.toLowerCase());
}

function vowels(str) {
  const found = [];
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Neovim with the plugin, measured")
    parser.add_argument("--picture", type=Path, metavar="FILE.png")
    parser.add_argument("--film", type=Path, metavar="FILE.gif")
    arguments = parser.parse_args()
    if path := arguments.picture or arguments.film:
        with tempfile.TemporaryDirectory() as folder:
            (take_picture if arguments.picture else take_film)(Path(folder), path)
        return
    columns = ["display", "first text, p50 (p95)", "whole text, p50", *COUNTED]
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for name, options in DISPLAYS.items():
        with tempfile.TemporaryDirectory() as folder:
            first, whole = time_keys(Path(folder), options)
        with tempfile.TemporaryDirectory() as folder:
            counts = count_requests(Path(folder), options)
        p95 = quantiles(first, n=20)[-1]
        print(
            f"| {name} | {median(first):.0f} ms ({p95:.0f}) | {median(whole):.0f} ms "
            f"| {' | '.join(str(counts[name]) for name in COUNTED)} |",
            flush=True,
        )


def time_keys(folder: Path, options: dict[str, Any]) -> tuple[list[float], list[float]]:
    """Milliseconds from a key to the first and to the last redraw of its suggestion."""
    first_times, whole_times = [], []
    with Neovim(folder=folder, init=COLOURS, attach=False, **options) as editor:
        screen = Screen(editor.nvim, 100, 30)
        for number in range(KEYS + 1):
            editor.open(f"key{number}.py", SHAPES)
            # Without a request for the text before the key: the server would remember the answer.
            editor.lua("require('santa.status').enabled = false")
            editor.type("15GSreturn 2 * math.pi * self")
            editor.wait("typed text", lambda: editor.line().endswith("self"))
            screen.follow(lambda _: False, 0.3)
            assert not screen.suggestion()
            editor.lua("require('santa.status').enabled = true")
            seen: list[float] = []

            def on_flush(now: float, seen: list[float] = seen) -> bool:
                if screen.suggestion():
                    seen.append(now)
                return False

            started = time.perf_counter()
            editor.type(".")
            screen.follow(on_flush, 0.8)
            assert seen, editor.screen()
            if number:  # the first one warms up
                first_times.append((seen[0] - started) * 1000)
                whole_times.append((seen[-1] - started) * 1000)
            editor.type("<Esc>")
    return first_times, whole_times


def count_requests(folder: Path, options: dict[str, Any]) -> dict[str, int]:
    """The numbers that COUNTED names, while LINE is typed with the default settings."""
    with Neovim(folder=folder, **{**options, "settings": {}}) as editor:
        editor.open("line.py", SHAPES)
        editor.type("Go")
        editor.wait("insert mode", lambda: editor.mode() == "i")
        time.sleep(1)
        editor.lua(COUNT_REQUESTS)
        before = editor.lua(STATISTICS)
        due = time.perf_counter()
        for key in LINE:
            due += PACE
            time.sleep(max(0, due - time.perf_counter()))
            editor.type("<lt>" if key == "<" else key)
        editor.wait("the line", lambda: editor.line().endswith(LINE))
        time.sleep(1)
        counts, after = editor.lua("return requests"), editor.lua(STATISTICS)

    def answered(by: str) -> int:
        return int(after["answered"][by] - before["answered"][by])

    values = (
        counts["pending"],
        counts["cancel"],
        after["superseded"] - before["superseded"],
        after["dropped"] - before["dropped"],
        answered("model"),
        answered("typedThrough") + answered("prefetched"),
        counts["keys"] - counts["pending"],
    )
    return dict(zip(COUNTED, values, strict=True))


def take_picture(folder: Path, path: Path) -> None:
    """A screen with a suggestion, just before it is accepted."""
    with Neovim("0.12", folder, init=COLOURS, attach=False, settings={}) as editor:
        screen = open_pictured(editor)
        editor.type("o" + "".join(TYPED))
        screen.follow(lambda _: False, 2)
        screen.picture().quantize(COLOURS_KEPT).save(path, optimize=True)
        print(f"{path}: {path.stat().st_size // 1024} KB; suggested: {screen.suggestion()!r}")


def take_film(folder: Path, path: Path) -> None:
    """Every screen between the first key and the accepted text, as long as it was there."""
    frames: list[tuple[float, Image.Image]] = []
    options = {"streaming": True, "settings": {}}
    with Neovim("0.12", folder, init=COLOURS, attach=False, **options) as editor:
        screen = open_pictured(editor)

        def on_flush(now: float) -> bool:
            frames.append((now, screen.picture()))
            return False

        for keys, seconds in [("o", 0.6), *((key, PACE) for key in TYPED), ("", 1.2), ("<Tab>", 2)]:
            editor.type(keys)
            screen.follow(on_flush, seconds)
    # A frame of less than 30 ms is invisible; GIF viewers could not show it either.
    seen = [a for a, b in pairwise(frames) if b[0] - a[0] > 0.03] + frames[-1:]
    times = [moment for moment, _ in seen]
    lengths = [round((b - a) * 1000) for a, b in pairwise([*times, times[-1] + 2])]
    palette = seen[-1][1].quantize(COLOURS_KEPT)  # one for all: only what changed is stored
    first, *others = (image.quantize(palette=palette, dither=Dither.NONE) for _, image in seen)
    first.save(path, save_all=True, append_images=others, duration=lengths, loop=0, optimize=True)
    print(f"{path}: {path.stat().st_size // 1024} KB, {len(seen)} frames")


def open_pictured(editor: Neovim) -> Screen:
    """PICTURED on a small screen, the cursor at its end."""
    screen = Screen(editor.nvim, 66, 12)
    editor.open("vowels.js", PICTURED)
    editor.nvim.command("set number expandtab shiftwidth=2 laststatus=0 noruler")
    editor.type("G")
    screen.follow(lambda _: False, 0.5)
    return screen


if __name__ == "__main__":
    main()
