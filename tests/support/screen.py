"""The screen that an embedded Neovim draws: its cells after each redraw, and a picture of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import pynvim
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

#: Suggestions get this colour, by which their cells are known.
SUGGESTION_COLOUR = 0x7A8594
BACKGROUND, FOREGROUND = 0x1E2127, 0xC8CDD5


class Screen:
    """Follows `redraw` events. Attach it before the editor has drawn anything worth seeing."""

    def __init__(self, nvim: pynvim.Nvim, columns: int, rows: int) -> None:
        self._nvim = nvim
        self._colours: dict[int, dict[str, Any]] = {0: {}}
        self.cells = [[(" ", 0)] * columns for _ in range(rows)]
        self.cursor = (0, 0)
        nvim.ui_attach(columns, rows, rgb=True, ext_linegrid=True)

    def follow(self, on_flush: Callable[[float], bool], seconds: float) -> None:
        """Take in redraws; `on_flush` gets the time of each one's end and says when to stop."""
        end = time.perf_counter() + seconds
        done = False

        def notice(name: str, batches: list[Any]) -> None:
            nonlocal done
            if name == "redraw" and not done:
                flushed = False
                for event, *calls in batches:
                    for call in calls:
                        self._apply(event, call)
                    flushed = flushed or event == "flush"
                if flushed and on_flush(time.perf_counter()):
                    done = True
                    self._nvim.stop_loop()
            elif name == "tick" and time.perf_counter() > end:
                done = True
                self._nvim.stop_loop()

        # A tick now and then, so that following ends even where nothing is drawn.
        self._nvim.exec_lua(
            "Ticks = Ticks or vim.uv.new_timer() "
            "local channel = ... "
            "Ticks:start(50, 50, vim.schedule_wrap(function() vim.rpcnotify(channel, 'tick') end))",
            self._nvim.channel_id,
        )
        self._nvim.run_loop(lambda name, arguments: None, notice)

    def _apply(self, event: str, call: list[Any]) -> None:
        if event == "hl_attr_define":
            self._colours[call[0]] = call[1]
        elif event == "grid_resize":
            _, columns, rows = call
            self.cells = [[(" ", 0)] * columns for _ in range(rows)]
        elif event == "grid_clear":
            self.cells = [[(" ", 0)] * len(row) for row in self.cells]
        elif event == "grid_cursor_goto":
            self.cursor = (call[1], call[2])
        elif event == "grid_line":
            self._line(call)
        elif event == "grid_scroll":
            _, top, bottom, left, right, rows, _ = call
            order = range(top, bottom - rows) if rows > 0 else range(bottom - 1, top - rows - 1, -1)
            for row in order:
                self.cells[row][left:right] = self.cells[row + rows][left:right]

    def _line(self, call: list[Any]) -> None:
        _, row, column, cells = call[:4]
        colour = 0
        for text, *more in cells:
            colour = more[0] if more else colour
            for _ in range(more[1] if len(more) > 1 else 1):
                self.cells[row][column] = (text, colour)
                column += 1

    def suggestion(self) -> str:
        """The cells in the suggestion's colour."""
        return "".join(
            text
            for row in self.cells
            for text, colour in row
            if self._colours.get(colour, {}).get("foreground") == SUGGESTION_COLOUR
        ).strip()

    def picture(self) -> Image.Image:
        """The screen in full colour."""
        width, height = 9, 20
        image = Image.new("RGB", (width * len(self.cells[0]) + 20, height * len(self.cells) + 20))
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, 0, *image.size), fill=f"#{BACKGROUND:06x}")
        for y, row in enumerate(self.cells):
            for x, (text, number) in enumerate(row):
                colour = self._colours.get(number, {})
                front = colour.get("foreground", FOREGROUND)
                back = colour.get("background", BACKGROUND)
                if colour.get("reverse"):
                    front, back = back, front
                place = (10 + x * width, 10 + y * height)
                if back != BACKGROUND:
                    draw.rectangle(
                        (*place, place[0] + width - 1, place[1] + height - 1), fill=f"#{back:06x}"
                    )
                if (y, x) == self.cursor:
                    draw.rectangle((*place, place[0] + 1, place[1] + height - 2), fill="#61afef")
                draw.text(place, text, fill=f"#{front:06x}", font=_font(bool(colour.get("bold"))))
        return image


@cache
def _font(bold: bool) -> ImageFont.FreeTypeFont:
    """DejaVu Sans Mono, which matplotlib brings along."""
    weight = "bold" if bold else "normal"
    wanted = font_manager.FontProperties(family="DejaVu Sans Mono", weight=weight)
    return ImageFont.truetype(font_manager.findfont(wanted), 15)
