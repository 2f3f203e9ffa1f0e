"""`santa-lsp models list --suggest`: which published models answer in time on this machine.

The machine's bounds are measured at each model's own widths: a few layers of that shape, with
weights of no meaning, are computed by the engine that would serve it. Decoding reads every weight
once a token, prefilling multiplies every weight once a token: the whole model takes as much longer
as it has more parameters.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from santa_lsp.convert.specification import build_spec
from santa_lsp.convert.tensors import Tensor
from santa_lsp.families.architecture import Architecture, Rotary
from santa_lsp.models import machine
from santa_lsp.models.catalogue import CATALOGUE, KnownModel, Shape
from santa_lsp.models.speeds import LINE, TAIL, Measurement

#: Parameters of the layers that are measured: more than a processor's cache holds, in int8.
MEASURED = 64e6
VOCABULARY = 256
PROMPT_TOKENS, NEW_TOKENS, RUNS = 64, 8, 3
#: Tokens of the suffix that a key computes anew where the prefix comes first.
SUFFIX = 32
#: Share of the memory that a model may take.
MOST_MEMORY = 0.5

Measure = Callable[[Shape, float], Measurement]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One model on this machine; `key_ms` is the time for a usual key, its prefix cached."""

    model: KnownModel
    key_ms: float
    fits_memory: bool

    def verdict(self, budget_ms: int) -> str:
        """In words, for a latency budget."""
        if not self.fits_memory:
            return "too large for this machine's memory"
        if self.key_ms <= budget_ms:
            return "answers in time"
        if self.key_ms <= 3 * budget_ms:
            return "slow: answers after a pause"
        return "too slow here: it needs a GPU"


def suggest(
    measure: Measure | None = None,
    models: Iterable[KnownModel] = CATALOGUE.values(),
    memory: int | None = None,
    on_measured: Callable[[int], None] = lambda shapes: None,
) -> list[Suggestion]:
    """All models, those that answer first in front.

    `measure` is asked once for each shape; `on_measured` gets how many have been measured.
    """
    measure = measure or measure_shape
    available = machine.memory() if memory is None else memory
    measured: dict[Shape, Measurement] = {}
    found = []
    for model in models:
        fits = not available or model.memory <= MOST_MEMORY * available
        if fits and model.shape not in measured:
            measured[model.shape] = measure(model.shape, model.parameters)
            on_measured(len(measured))
        key_ms = 1000 * _usual_key(measured[model.shape]) if fits else float("inf")
        found.append(Suggestion(model, key_ms, fits))
    return sorted(found, key=lambda each: each.key_ms)


def best(suggestions: Iterable[Suggestion], budget_ms: int) -> Suggestion | None:
    """The one to take: of those that answer in time and may be used, the most often right."""
    in_time = [each for each in suggestions if each.key_ms <= budget_ms and each.fits_memory]
    usable = [each for each in in_time if not each.model.licence.use]
    return max(usable, key=lambda each: each.model.fim or 0, default=None)


def measure_shape(shape: Shape, parameters: float) -> Measurement:
    """Speed of a model of `parameters` weights in this shape, with all cores."""
    import ctranslate2

    layer = _architecture(shape, 1).parameters - 2 * VOCABULARY * shape.n_embd
    n_layer = max(1, round(MEASURED / layer))
    architecture = _architecture(shape, n_layer)
    with tempfile.TemporaryDirectory() as folder:
        _write(architecture, Path(folder))
        generator = ctranslate2.Generator(folder, device="cpu", intra_threads=machine.cores())
    prompt = [str(number % VOCABULARY) for number in range(PROMPT_TOKENS)]
    prefill = decode = 0.0
    for _ in range(RUNS):
        times = _times(generator, prompt)
        prefill = max(prefill, PROMPT_TOKENS / times[0])
        decode = max(decode, (len(times) - 1) / (times[-1] - times[0]))
    share = architecture.parameters / parameters
    return Measurement(machine.cores(), prefill * share, decode * share)


def _usual_key(measured: Measurement) -> float:
    """Seconds: the line so far and a little of the suffix read, the line's rest written."""
    return (TAIL + SUFFIX) / measured.prefill_tokens_per_second + (
        LINE / measured.decode_tokens_per_second
    )


def _architecture(shape: Shape, n_layer: int) -> Architecture:
    return Architecture(
        vocab_size=VOCABULARY,
        n_positions=256,
        n_layer=n_layer,
        n_embd=shape.n_embd,
        n_inner=shape.n_inner,
        n_head=shape.n_head,
        n_kv_head=shape.n_kv_head,
        norm="rms",
        norm_bias=False,
        rotary=Rotary(shape.n_embd // shape.n_head),
        activation="silu" if shape.gated else "gelu_tanh",
        gated=shape.gated,
        qkv_bias=False,
        attention_output_bias=False,
        mlp_bias=False,
    )


def _write(architecture: Architecture, folder: Path) -> None:
    """A model whose weights are all the same: their values do not matter to the time."""

    def constant(shape: tuple[int, ...]) -> Tensor:
        return Tensor(shape, lambda: np.full(shape, 0.01, np.float32))

    shapes = architecture.tensor_shapes().items()
    tensors = {name: constant(shape) for name, shape in shapes}
    vocabulary = [str(number) for number in range(VOCABULARY)]
    spec = build_spec(tensors, architecture, vocabulary, vocabulary[-1])
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))


def _times(generator: object, prompt: list[str]) -> list[float]:
    """Seconds from the call to each token."""
    times: list[float] = []
    started = time.perf_counter()

    def on_token(step: object) -> bool:
        times.append(time.perf_counter() - started)
        return False

    generator.generate_batch(  # type: ignore[attr-defined]  # ctranslate2 has no types
        [prompt],
        max_length=NEW_TOKENS,
        min_length=NEW_TOKENS,
        sampling_topk=1,
        return_scores=True,
        include_prompt_in_result=False,
        callback=on_token,
    )
    return times
