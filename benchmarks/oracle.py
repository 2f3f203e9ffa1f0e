"""The real server with a model that knows the text to be typed: the most that prefetching gains.

    santa-lsp bench --pace real --server "python -m benchmarks.oracle --right 0.7"

The model says the share `--right` of the lines that the sessions of `santa-lsp bench` type, and
something else for the others; the same ones each time. It computes as fast as a 30M model on two
cores. A better model answers more requests from memory: `santa-mini` is seldom right, the oracle
shows the other end.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Callable, Sequence

from santa_lsp.bench import session
from santa_lsp.commands.main import main as santa_lsp
from santa_lsp.completion.engine import Limits
from santa_lsp.engines.local import USUAL_LIMITS, LocalEngine, Token
from santa_lsp.families.forms import FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, SPM, Mark, PromptForm
from santa_lsp.families.prompt import PromptFormat
from santa_lsp.models.speeds import Measurement

#: Characters before the cursor by which a place is known.
NEAR = 48
#: Characters of a model's token, and the seconds that it takes to prefill and to decode one.
TOKEN, PREFILL, DECODE = 4, 1 / 3_500, 1 / 250


def typed() -> list[str]:
    """The texts that the sessions type, each with the line before it where that is known."""
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


class Oracle(LocalEngine):
    """A local engine whose tokens are characters. It reuses the start shared with the last prompt.

    `right` is the share of lines that it says as they will be typed.
    """

    def __init__(self, right: float) -> None:
        # In place of the files that LocalEngine reads: there is no model.
        self.speed = Measurement(1, TOKEN / PREFILL, TOKEN / DECODE)
        self.n_positions = 8192
        # Beyond the last character.
        marks = {
            part: Mark(part, 0x110000 + number)
            for number, part in enumerate((FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE))
        }
        self.format = PromptFormat(PromptForm("oracle", SPM, marks))
        self._limits = USUAL_LIMITS
        self._fim_middle = marks[FIM_MIDDLE].id
        self._right, self._texts = right, typed()
        self._computed: list[int] = []

    def locate(self, text: str) -> tuple[list[int], list[int]]:
        return [ord(character) for character in text], list(range(len(text)))

    def text_stream(self) -> Callable[[int], str]:
        return chr

    def reusable(self, prompt_ids: Sequence[int]) -> int:
        common = 0
        for before, now in zip(self._computed, prompt_ids, strict=False):
            if before != now:
                break
            common += 1
        return common

    def prepare_tokens(self, prompt_ids: Sequence[int]) -> int:
        return 0

    def generate_tokens(
        self, prompt_ids: Sequence[int], limits: Limits, on_token: Callable[[Token], bool]
    ) -> int:
        reused = self.reusable(prompt_ids)
        time.sleep((len(prompt_ids) - reused) / TOKEN * PREFILL)
        self._computed = list(prompt_ids)
        start = prompt_ids.index(self._fim_middle) + 1
        prefix = "".join(map(chr, prompt_ids[start:]))
        for character in self._says(prefix)[: limits.new_tokens * TOKEN]:
            time.sleep(DECODE / TOKEN)
            if on_token(Token(ord(character), -0.01)):
                break
        return reused

    def _says(self, prefix: str) -> str:
        """The text that will be typed after `prefix`, line by line, right or not."""
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
    right = parser.parse_args().right
    santa_lsp(["--stdio"], load_engine=lambda settings: Oracle(right))


if __name__ == "__main__":
    main()
