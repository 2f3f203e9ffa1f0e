"""The default engine: a CTranslate2 model directory on CPU or CUDA."""

from __future__ import annotations

import dataclasses
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import ctranslate2

from santa_lsp.completion.engine import CacheCounts, EngineError, Limits
from santa_lsp.engines.devices import load_generator
from santa_lsp.engines.local import LocalEngine, Token
from santa_lsp.engines.prefix_cache import PrefixCache
from santa_lsp.models import Model
from santa_lsp.models.speeds import Measurement

#: Bytes of a model whose layers are so small that a second thread costs more than it brings, in
#: waiting for it at every token. Used until the model has been measured.
SMALL = 50e6
#: Memory for the states of cached prefixes by default.
PREFIX_CACHE_BYTES = 512_000_000
#: The byte of a line end in byte-level vocabularies.
LINE_ENDS = ("\u010a", "<0x0A>")


class CTranslate2Engine(LocalEngine):
    """One loaded model."""

    def __init__(
        self,
        model: Model,
        device: str = "auto",
        compute_type: str = "default",
        threads: int = 0,
        prefix_cache_bytes: int = PREFIX_CACHE_BYTES,
        speed: Measurement | None = None,
    ) -> None:
        """`threads` 0: those of `speed`, else one for a small model, else CTranslate2's choice.

        Raises EngineError.
        """
        super().__init__(model, speed)
        self._device, self._compute_type = device, compute_type
        guess = 1 if model.size < SMALL else 0
        self.threads = threads or (speed.threads if speed else guess)
        # The generator's threads must end before the interpreter does, or the process aborts:
        # `finalize` drops the last reference in time.
        self._generators: list[ctranslate2.Generator] = []
        self._lock = threading.Lock()  # around the list
        weakref.finalize(self, self._generators.clear)
        self.notice = ""
        self._generator()
        vocabulary = self.tokenizer.get_vocab()
        self._prefixes = PrefixCache(
            prompt_format=self.format,
            newlines=frozenset(
                i for token, i in vocabulary.items() if any(end in token for end in LINE_ENDS)
            ),
            bytes_per_token=model.card["state_bytes_per_token"],
            most_bytes=prefix_cache_bytes,
        )

    @property
    def device(self) -> str:
        return str(self._generator().device)

    @property
    def compute_type(self) -> str:
        return str(self._generator().compute_type)

    @property
    def cache_counts(self) -> CacheCounts:  # type: ignore[override]  # a property
        return self._prefixes.counts

    def reusable(self, prompt_ids: Sequence[int]) -> int:
        return self._prefixes.longest(prompt_ids)

    def prepare_tokens(self, prompt_ids: Sequence[int]) -> int:
        length = self._prefixes.worth_preparing(prompt_ids)
        if not length or not self._prefixes.fits(length):
            return 0
        if not self._prefixes.has_room(length):
            self.close()
        step = _Step(lambda token: True, self.stop_ids)
        try:
            self._run([prompt_ids[: length + 1]], length, step, Limits(1))
        finally:
            step.release()
        return length

    def generate_tokens(
        self, prompt_ids: Sequence[int], limits: Limits, on_token: Callable[[Token], bool]
    ) -> int:
        length = len(prompt_ids) + limits.new_tokens
        if length > self.n_positions:
            raise ValueError(f"{length} tokens are more than n_positions {self.n_positions}")
        held = static = 0
        if limits.reuse:
            held = self._prefixes.longest(prompt_ids)
            static = self._prefixes.worth_building(prompt_ids) or held
        step = _Step(on_token, self.stop_ids)
        try:
            if limits.candidates == 1:
                self._run([prompt_ids], static, step, limits)
            else:
                self._run_candidates(prompt_ids, static, step, limits)
        finally:
            failure = step.release()
        if failure is not None:
            raise failure
        return held if static == held else 0

    def _run_candidates(
        self,
        prompt_ids: Sequence[int],
        static: int,
        step: _Step,
        limits: Limits,
    ) -> None:
        """Generate the likeliest first tokens, then continue each of them, in one batch."""
        first = dataclasses.replace(limits, new_tokens=1)
        (result,) = self._run(
            [prompt_ids],
            static,
            None,
            first,
            num_hypotheses=limits.candidates,
            return_alternatives=True,
        )
        ids = [sequence[0] for sequence in result.sequences_ids if sequence]
        step.candidates = [
            candidate
            for candidate, (each, log_prob) in enumerate(zip(ids, result.scores, strict=False))
            if not step.take(each, log_prob, candidate)
        ]
        if step.candidates and limits.new_tokens > 1:
            prompts = [[*prompt_ids, ids[candidate]] for candidate in step.candidates]
            rest = dataclasses.replace(limits, new_tokens=limits.new_tokens - 1)
            self._run(prompts, static, step, rest)

    def _run(
        self,
        prompts: Sequence[Sequence[int]],
        static: int,
        step: _Step | None,
        limits: Limits,
        **options: Any,
    ) -> list[ctranslate2.GenerationResult]:
        """Generate for prompts of one length.

        Their first `static` tokens are the same; CTranslate2 caches the state of these, or has it.
        """
        tokens = [[self.tokenizer.id_to_token(i) for i in prompt] for prompt in prompts]
        generator = self._generator()
        try:
            results: list[ctranslate2.GenerationResult] = generator.generate_batch(
                [each[static:] for each in tokens],
                static_prompt=tokens[0][:static] or None,
                max_length=limits.new_tokens,
                include_prompt_in_result=False,
                return_scores=True,  # the callback has log probabilities only then
                sampling_topk=1 if limits.temperature == 0 else 0,
                sampling_topp=limits.top_p,
                sampling_temperature=limits.temperature or 1.0,
                end_token=list(self.stop_ids),
                callback=step,
                **options,
            )
        except RuntimeError as error:
            if generator.device == "cuda" and "out of memory" in str(error):
                del generator
                self.close()  # frees the memory first
                self._device, self._compute_type = "cpu", "default"
                raise EngineError(
                    f"the GPU ran out of memory; {self.model.name} runs on the CPU from now on"
                ) from error
            raise EngineError(f"generation failed: {error}") from error
        if static:
            self._prefixes.add(prompts[0][:static])
        return results

    def _generator(self) -> ctranslate2.Generator:
        """The loaded model; loaded anew after `close`. Raises EngineError."""
        with self._lock:
            if not self._generators:
                generator, self.notice = load_generator(
                    self.model, self._device, self._compute_type, self.threads
                )
                self._generators.append(generator)
            return self._generators[0]

    def use_threads(self, threads: int) -> None:
        """Compute with so many threads from now on."""
        if threads != self.threads:
            self.threads = threads
            self.close()

    def close(self) -> None:
        """Free all memory: CTranslate2 drops static prompts only together with the model.

        The next call loads the model again. A call that is running ends with the old one.
        """
        with self._lock:
            self._generators.clear()
            self._prefixes.clear()


class _Step:
    """The callback, which CTranslate2 keeps for a moment after it has answered.

    It must not keep the engine alive: CTranslate2's own thread would drop the last reference, wait
    for its own end, and abort the process.
    """

    def __init__(self, on_token: Callable[[Token], bool], stop_ids: Sequence[int]) -> None:
        self._on_token: Callable[[Token], bool] | None = on_token
        self._stop_ids = stop_ids
        self._failure: BaseException | None = None
        self.candidates = [0]  # the candidate of each prompt in the batch

    def __call__(self, result: ctranslate2.GenerationStepResult) -> bool:
        candidate = self.candidates[result.batch_id]
        return self.take(result.token_id, result.log_prob or 0.0, candidate)

    def take(self, token_id: int, log_prob: float, candidate: int) -> bool:
        """Pass a token on; True when it is the last of its candidate."""
        if self._on_token is None or self._failure or token_id in self._stop_ids:
            return True
        try:
            return self._on_token(Token(token_id, log_prob, candidate))
        except BaseException as error:  # must not unwind through the C++ decoding loop
            self._failure = error
            return True

    def release(self) -> BaseException | None:
        """Drop all references; return the error that the callback raised."""
        failure, self._failure, self._on_token = self._failure, None, None
        return failure
