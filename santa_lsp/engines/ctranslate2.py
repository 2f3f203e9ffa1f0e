"""The default engine: a CTranslate2 model directory on CPU or CUDA."""

from __future__ import annotations

import dataclasses
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import ctranslate2
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from santa_lsp.engines.budget import Speed
from santa_lsp.completion.engine import AnchorCounts, EngineError, GenerationParameters, Token
from santa_lsp.engines.prefix_cache import Anchors, state_bytes_per_token
from santa_lsp.engines.devices import load_generator
from santa_lsp.models import Model
from santa_lsp.families.prompt import END_OF_TEXT, FimIds, Order, find_dialect

#: Until it has been measured: bytes of a model whose layers are so small that a second thread costs
#: more, in waiting for it at every token, than it brings.
SMALL = 50e6
#: Memory for the states of anchors unless the user says otherwise.
ANCHOR_BYTES = 512_000_000
#: How byte-level vocabularies write the byte of a line end.
LINE_END = "\u010a"


class CTranslate2Engine:
    """One loaded model; see santa_lsp.engine.Engine."""

    def __init__(
        self,
        model: Model,
        device: str = "auto",
        compute_type: str = "default",
        threads: int = 0,
        anchor_bytes: int = ANCHOR_BYTES,
        speed: Speed | None = None,
    ) -> None:
        """`threads` 0: those of `speed`, else one for a small model, else CTranslate2's choice.

        `anchor_bytes` bounds the memory of what is kept for reuse; `speed` is what was measured on
        this machine. Raises EngineError.
        """
        self.model = model
        self.speed = speed
        self.n_positions = model.n_positions
        self._tokenizer = Tokenizer.from_file(str(model.directory / "tokenizer.json"))
        # Text that spells a special token is text: user code must never steer the prompt format.
        self._tokenizer.encode_special_tokens = True
        found = find_dialect(self._tokenizer.token_to_id)
        self.fim: FimIds | None = found[1] if found else None
        self.order: Order = model.order
        self.path_comment = model.path_comment
        end_token = (model.card.get("stop_tokens") or [END_OF_TEXT])[0]
        end_of_text = self._tokenizer.token_to_id(end_token)
        if end_of_text is None:
            raise EngineError(f"{model.directory}/tokenizer.json has no {end_token} token")
        self.end_of_text: int = end_of_text
        self._device, self._compute_type = device, compute_type
        guess = 1 if model.size < SMALL else 0
        self.threads = threads or (speed.threads if speed else guess)
        # Its threads must end before the interpreter does, or the process aborts: `finalize` drops
        # the last reference in time.
        self._generators: list[ctranslate2.Generator] = []
        self._lock = threading.Lock()  # around the list
        weakref.finalize(self, self._generators.clear)
        self.notice = ""
        self._generator()
        vocabulary = self._tokenizer.get_vocab()
        self._anchors = Anchors(
            fim=self.fim,
            order=self.order,
            newlines=frozenset(i for token, i in vocabulary.items() if LINE_END in token),
            bytes_per_token=model.card.get("state_bytes_per_token")
            or state_bytes_per_token(model.directory / "model.bin"),
            most_bytes=anchor_bytes,
        )

    @property
    def device(self) -> str:
        return str(self._generator().device)

    @property
    def compute_type(self) -> str:
        return str(self._generator().compute_type)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def text_stream(self) -> _TextStream:
        return _TextStream(self._tokenizer)

    def reusable(self, prompt_ids: Sequence[int]) -> int:
        return self._anchors.longest(prompt_ids)

    def anchor_counts(self) -> AnchorCounts:
        return self._anchors.counts

    def prepare(self, prompt_ids: Sequence[int]) -> int:
        reach = self._anchors.worth_preparing(prompt_ids)
        if not reach or not self._anchors.fits(reach):
            return 0
        if not self._anchors.has_room(reach):
            self._drop()
        step = _Step(lambda token: True, self.end_of_text)
        try:
            self._run([prompt_ids[: reach + 1]], reach, step, GenerationParameters(1))
        finally:
            step.release()
        return reach

    def generate(
        self,
        prompt_ids: Sequence[int],
        parameters: GenerationParameters,
        on_token: Callable[[Token], bool],
    ) -> int:
        length = len(prompt_ids) + parameters.max_new_tokens
        if length > self.n_positions:
            raise ValueError(f"{length} tokens are more than n_positions {self.n_positions}")
        held = reach = 0
        if parameters.reuse:
            held = self._anchors.longest(prompt_ids)
            reach = self._anchors.worth_building(prompt_ids) or held
        step = _Step(on_token, self.end_of_text)
        try:
            if parameters.candidates == 1:
                self._run([prompt_ids], reach, step, parameters)
            else:
                self._run_candidates(prompt_ids, reach, step, parameters)
        finally:
            failure = step.release()
        if failure is not None:
            raise failure
        return held if reach == held else 0

    def _run_candidates(
        self,
        prompt_ids: Sequence[int],
        reach: int,
        step: _Step,
        parameters: GenerationParameters,
    ) -> None:
        """The likeliest first tokens, then what follows each of them, in one batch."""
        first = dataclasses.replace(parameters, max_new_tokens=1)
        (result,) = self._run(
            [prompt_ids],
            reach,
            None,
            first,
            num_hypotheses=parameters.candidates,
            return_alternatives=True,
        )
        ids = [sequence[0] for sequence in result.sequences_ids if sequence]
        step.candidates = [
            candidate
            for candidate, (each, log_prob) in enumerate(zip(ids, result.scores, strict=False))
            if not step.take(each, log_prob, candidate)
        ]
        if step.candidates and parameters.max_new_tokens > 1:
            prompts = [[*prompt_ids, ids[candidate]] for candidate in step.candidates]
            rest = dataclasses.replace(parameters, max_new_tokens=parameters.max_new_tokens - 1)
            self._run(prompts, reach, step, rest)

    def _run(
        self,
        prompts: Sequence[Sequence[int]],
        reach: int,
        step: _Step | None,
        parameters: GenerationParameters,
        **options: Any,
    ) -> list[ctranslate2.GenerationResult]:
        """Generate for prompts of one length.

        The state of their first `reach` tokens, which are the same, is taken from memory or kept.
        """
        tokens = [[self._tokenizer.id_to_token(i) for i in prompt] for prompt in prompts]
        generator = self._generator()
        try:
            results: list[ctranslate2.GenerationResult] = generator.generate_batch(
                [each[reach:] for each in tokens],
                static_prompt=tokens[0][:reach] or None,
                max_length=parameters.max_new_tokens,
                include_prompt_in_result=False,
                return_scores=True,  # the callback has log probabilities only then
                sampling_topk=1 if parameters.temperature == 0 else 0,
                sampling_topp=parameters.top_p,
                sampling_temperature=parameters.temperature or 1.0,
                callback=step,
                **options,
            )
        except RuntimeError as error:
            if generator.device == "cuda" and "out of memory" in str(error):
                del generator
                self._drop()  # gives the memory back first
                self._device, self._compute_type = "cpu", "default"
                raise EngineError(
                    f"the GPU ran out of memory; {self.model.name} runs on the CPU from now on"
                ) from error
            raise EngineError(f"generation failed: {error}") from error
        if reach:
            self._anchors.add(prompts[0][:reach])
        return results

    def _generator(self) -> ctranslate2.Generator:
        """The loaded model, loaded anew if it has been dropped. Raises EngineError."""
        with self._lock:
            if not self._generators:
                generator, self.notice = load_generator(
                    self.model, self._device, self._compute_type, self.threads
                )
                self._generators.append(generator)
            return self._generators[0]

    def use_threads(self, threads: int) -> None:
        """Compute with that many from now on."""
        if threads != self.threads:
            self.threads = threads
            self._drop()

    def _drop(self) -> None:
        """Give all memory back: CTranslate2 drops static prompts only together with the model.

        It is loaded again when it is needed. What runs meanwhile ends on the one it began with.
        """
        with self._lock:
            self._generators.clear()
            self._anchors.clear()


class _Step:
    """The callback CTranslate2 holds on to for a moment after it has answered.

    It must not keep the engine alive: the last reference would be dropped on CTranslate2's own
    thread, whose end it would then wait for, and the process would abort.
    """

    def __init__(self, on_token: Callable[[Token], bool], end_of_text: int) -> None:
        self._on_token: Callable[[Token], bool] | None = on_token
        self._end_of_text = end_of_text
        self._failure: BaseException | None = None
        self.candidates = [0]  # which one each prompt of the batch is

    def __call__(self, result: ctranslate2.GenerationStepResult) -> bool:
        candidate = self.candidates[result.batch_id]
        return self.take(result.token_id, result.log_prob or 0.0, candidate)

    def take(self, token_id: int, log_prob: float, candidate: int) -> bool:
        """Tell of a token; whether it was the last of its candidate."""
        if self._on_token is None or self._failure or token_id == self._end_of_text:
            return True
        try:
            return self._on_token(Token(token_id, log_prob, candidate))
        except BaseException as error:  # must not unwind through the C++ decoding loop
            self._failure = error
            return True

    def release(self) -> BaseException | None:
        """Let go of everything; returns what the callback raised."""
        failure, self._failure, self._on_token = self._failure, None, None
        return failure


class _TextStream:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)

    def step(self, token_id: int) -> str:
        return self._stream.step(self._tokenizer, token_id) or ""
