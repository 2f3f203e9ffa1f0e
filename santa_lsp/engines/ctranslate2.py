"""The default engine: a CTranslate2 model directory on CPU or CUDA."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence

import ctranslate2
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from santa_lsp.engine import EngineError, GenerationParameters, Token
from santa_lsp.engines.devices import load_generator, load_on_cpu
from santa_lsp.models import Model
from santa_lsp.prompt import END_OF_TEXT, FimIds, Order, find_dialect

#: Bytes of a model whose layers are so small that a second thread costs more, in waiting for it at
#: every token, than it brings: a model of 3 MB decodes half as fast with two.
SMALL = 50e6


class CTranslate2Engine:
    """One loaded model; see santa_lsp.engine.Engine."""

    def __init__(
        self, model: Model, device: str = "auto", compute_type: str = "default", threads: int = 0
    ) -> None:
        """`threads` 0 means one for a small model, else CTranslate2's own choice; EngineError."""
        self.model = model
        self.n_positions = model.n_positions
        self._tokenizer = Tokenizer.from_file(str(model.directory / "tokenizer.json"))
        # Text that spells a special token is text: user code must never steer the prompt format.
        self._tokenizer.encode_special_tokens = True
        found = find_dialect(self._tokenizer.token_to_id)
        self.fim: FimIds | None = found[1] if found else None
        self.order: Order = model.order
        end_of_text = self._tokenizer.token_to_id(END_OF_TEXT)
        if end_of_text is None:
            raise EngineError(f"{model.directory}/tokenizer.json has no {END_OF_TEXT} token")
        self.end_of_text: int = end_of_text
        self._threads = threads or (1 if model.size < SMALL else 0)
        generator, self.notice = load_generator(model, device, compute_type, self._threads)
        # Its threads must end before the interpreter does, or the process aborts: `finalize` drops
        # the only reference in time.
        self._generators = [generator]
        weakref.finalize(self, self._generators.clear)

    @property
    def device(self) -> str:
        return str(self._generators[0].device)

    @property
    def compute_type(self) -> str:
        return str(self._generators[0].compute_type)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def text_stream(self) -> _TextStream:
        return _TextStream(self._tokenizer)

    def generate(
        self,
        prompt_ids: Sequence[int],
        parameters: GenerationParameters,
        on_token: Callable[[Token], bool],
    ) -> int:
        length = len(prompt_ids) + parameters.max_new_tokens
        if length > self.n_positions:
            raise ValueError(f"{length} tokens are more than n_positions {self.n_positions}")

        step = _Step(on_token, self.end_of_text)
        try:
            self._generators[0].generate_batch(
                [[self._tokenizer.id_to_token(i) for i in prompt_ids]],
                max_length=parameters.max_new_tokens,
                include_prompt_in_result=False,
                return_scores=True,  # the callback has log probabilities only then
                sampling_topk=1 if parameters.temperature == 0 else 0,
                sampling_topp=parameters.top_p,
                sampling_temperature=parameters.temperature or 1.0,
                callback=step,
            )
        except RuntimeError as error:
            if self.device == "cuda" and "out of memory" in str(error):
                self._generators.clear()  # gives the memory back first
                self._generators.append(load_on_cpu(self.model, "default", self._threads))
                raise EngineError(
                    f"the GPU ran out of memory; {self.model.name} runs on the CPU from now on"
                ) from error
            raise EngineError(f"generation failed: {error}") from error
        finally:
            failure = step.release()
        if failure is not None:
            raise failure
        return 0


class _Step:
    """The callback CTranslate2 holds on to for a moment after it has answered.

    It must not keep the engine alive: the last reference would be dropped on CTranslate2's own
    thread, whose end it would then wait for, and the process would abort.
    """

    def __init__(self, on_token: Callable[[Token], bool], end_of_text: int) -> None:
        self._on_token: Callable[[Token], bool] | None = on_token
        self._end_of_text = end_of_text
        self._failure: BaseException | None = None

    def __call__(self, result: ctranslate2.GenerationStepResult) -> bool:
        if self._on_token is None or result.token_id == self._end_of_text:
            return True
        try:
            return self._on_token(Token(result.token_id, result.log_prob or 0.0))
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
