"""llama.cpp's server as a completion server: its process, and `/infill` with the prompt cache."""

from __future__ import annotations

import http.client
import json
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from benchmarks.peers import Sample

#: Seconds to load a model.
PATIENCE = 120


class LlamaCpp:
    """One process with one slot, so that every request finds the last one's computed state.

    Order spm puts the suffix first, so that typing changes the end of the prompt only; with psm,
    llama.cpp's default, the suffix comes after the typed text. Raises OSError if it does not start.
    """

    def __init__(
        self,
        server: Path,
        gguf: Path,
        n_positions: int,
        threads: int,
        order: Literal["psm", "spm"] = "psm",
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        argv = [str(server), "--model", str(gguf), "--port", str(port), "--parallel", "1"]
        # The most of a prompt that /infill takes is a batch.
        argv += ["--ctx-size", str(n_positions), "--batch-size", str(n_positions)]
        argv += ["--threads", str(threads), *(["--spm-infill"] if order == "spm" else [])]
        self._process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._wait_until_loaded(argv)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def complete(self, file: str, prefix: str, suffix: str, tokens: int) -> Sample:
        """Greedy and streamed; it is not told the file's name. Raises OSError."""
        self._connection.close()  # as the server does after a stream
        self._connection.connect()
        asked = time.perf_counter()
        first, text = None, ""
        last: dict[str, Any] = {}
        for last in self._stream(
            {
                "input_prefix": prefix,
                "input_suffix": suffix,
                "n_predict": tokens,
                "temperature": 0,
                "ignore_eos": True,
                "cache_prompt": True,
                "stream": True,
            }
        ):
            text += last["content"]
            if first is None and text:
                first = time.perf_counter()
        took = time.perf_counter() - asked
        timings = last["timings"]
        return Sample(
            first_ms=1000 * ((first or asked + took) - asked),
            total_ms=1000 * took,
            prompt_tokens=timings["cache_n"] + timings["prompt_n"],
            prefilled_tokens=timings["prompt_n"],
            generated_tokens=timings["predicted_n"],
            text=text,
        )

    def best_next(self, prompt_ids: Sequence[int], count: int) -> dict[int, float]:
        """The most probable tokens after a prompt, with their log probabilities (nats)."""
        options = {"n_predict": 1, "n_probs": count, "temperature": 0, "cache_prompt": False}
        found = self._post("/completion", {"prompt": list(prompt_ids), **options})
        best = found["completion_probabilities"][0]["top_logprobs"]
        return {each["id"]: each["logprob"] for each in best}

    def tokenize(self, text: str) -> list[int]:
        """Its own token ids of a text."""
        ids: list[int] = self._post("/tokenize", {"content": text})["tokens"]
        return ids

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        self._connection.request("POST", path, json.dumps(body), _JSON)
        return json.loads(self._connection.getresponse().read())

    def _stream(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The events of a streamed completion."""
        self._connection.request("POST", "/infill", json.dumps(body), _JSON)
        response = self._connection.getresponse()
        if response.status != 200:
            raise OSError(f"llama-server refused: {response.read().decode()}")
        for line in response:
            if line.startswith(b"data: ") and line.strip() != b"data: [DONE]":
                yield json.loads(line.removeprefix(b"data: "))

    def _wait_until_loaded(self, argv: list[str]) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self._connection.request("GET", "/health")
                response = self._connection.getresponse()
                response.read()
                if response.status == 200:
                    return
            except OSError:
                self._connection.close()
            time.sleep(0.1)
        self.__exit__(None, None, None)
        raise OSError(f"llama-server did not start; to see why: {shlex.join(argv)}")


_JSON = {"Content-Type": "application/json"}
