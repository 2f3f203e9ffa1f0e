"""The real server with a model that knows what will be typed: what working ahead can gain at best.

    santa-lsp bench --pace real --server "python -m benchmarks.oracle --right 0.7"

Of the lines that the sessions of `santa-lsp bench` type it says so many right, and something else
for the others; the same ones each time. It reads and writes as fast as a 30M model on two cores.
How many requests are answered from memory depends on how good a model is: `santa-mini` is seldom
right, this shows the other end.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Callable, Sequence

from santa_lsp.bench import session
from santa_lsp.commands import main as cli
from santa_lsp.completion.engine import AnchorCounts, GenerationParameters, Token
from santa_lsp.engines.budget import Speed
from santa_lsp.families.prompt import FimIds, Order
from santa_lsp.server import session as server_session
from santa_lsp.settings import Settings

#: Characters before the cursor by which a place is known.
NEAR = 48
#: Characters to a token, and the seconds that a token takes to read and to write.
TOKEN, READ, WRITE = 4, 1 / 3_500, 1 / 250


def typed() -> list[str]:
    """What the sessions type, each with what stands before it where that is known."""
    found = []
    for name in session.names():
        before = ""
        for step in session.read(name).steps:
            if step.verb == "go":
                before = step.text.partition(session.CURSOR)[0]
            elif step.verb in ("type", "paste"):
                found.append(before + step.text)
                before = step.text.rpartition("\n")[2]
    return found


class Oracle:
    """An Engine whose tokens are characters. It reuses what the prompt before had in common."""

    n_positions = 8192
    fim = FimIds(0x110001, 0x110002, 0x110003, 0x110004)
    order: Order = "spm"
    path_comment = False
    end_of_text = 0x110000
    notice = ""
    speed: Speed | None = Speed(1, TOKEN / READ, TOKEN / WRITE)

    def __init__(self, right: float) -> None:
        self._right, self._texts = right, typed()
        self._read: list[int] = []

    def encode(self, text: str) -> list[int]:
        return [ord(character) for character in text]

    def text_stream(self) -> Oracle:
        return self

    def step(self, token_id: int) -> str:
        return chr(token_id)

    def reusable(self, prompt_ids: Sequence[int]) -> int:
        common = 0
        for before, now in zip(self._read, prompt_ids, strict=False):
            if before != now:
                break
            common += 1
        return common

    def prepare(self, prompt_ids: Sequence[int]) -> int:
        return 0

    def anchor_counts(self) -> AnchorCounts:
        return AnchorCounts()

    def generate(
        self,
        prompt_ids: Sequence[int],
        parameters: GenerationParameters,
        on_token: Callable[[Token], bool],
    ) -> int:
        reused = self.reusable(prompt_ids)
        time.sleep((len(prompt_ids) - reused) / TOKEN * READ)
        self._read = list(prompt_ids)
        start = prompt_ids.index(self.fim.middle) + 1
        prefix = "".join(map(chr, prompt_ids[start:]))
        for character in self._says(prefix)[: parameters.max_new_tokens * TOKEN]:
            time.sleep(WRITE / TOKEN)
            if on_token(Token(ord(character), -0.01)):
                break
        return reused

    def _says(self, prefix: str) -> str:
        """What will be typed after this, line by line, right or not."""
        rest = ""
        longest = 0
        for text in self._texts:
            for length in range(len(text) - 1, longest, -1):
                if prefix.endswith(text[max(0, length - NEAR) : length]):
                    longest, rest = length, text[length:]
                    break
        line = prefix.rpartition("\n")[2]
        said = []
        for number, each in enumerate(rest.split("\n")):
            whole = line + each if number == 0 else each
            is_right = zlib.crc32(whole.encode()) % 1000 < 1000 * self._right
            said.append(each if is_right else "something_else()")
        return "\n".join(said)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--right", type=float, default=0.7, help="share of lines (default .7)")
    arguments = parser.parse_args()

    def load(settings: Settings) -> Oracle:
        return Oracle(arguments.right)

    server_session.load_engine = load  # type: ignore[assignment]
    cli.main(["--stdio"])


if __name__ == "__main__":
    main()
