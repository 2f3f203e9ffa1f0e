"""The device and the number format that a model is computed with: a GPU if one works."""

from __future__ import annotations

import ctranslate2

from santa_lsp.completion.engine import EngineError
from santa_lsp.models import Model

#: From the format of stored weights to the one that a GPU computes in by default.
_CUDA_COMPUTE_TYPES = {"int8": "int8_float16", "int8_float16": "int8_float16", "float16": "float16"}


def load_generator(
    model: Model, device: str, compute_type: str, threads: int, at_a_time: int = 2
) -> tuple[ctranslate2.Generator, str]:
    """The loaded model, and a message if a GPU is there but fails.

    Raises EngineError.
    """
    if device == "cpu" or not ctranslate2.get_cuda_device_count():
        if device == "cuda":
            raise EngineError("CTranslate2 sees no CUDA device; set device to auto or cpu")
        return load_on_cpu(model, compute_type, threads, at_a_time), ""
    try:
        return _load_on_cuda(model, compute_type), ""
    except (RuntimeError, ValueError) as error:
        generator = load_on_cpu(model, "default", threads, at_a_time)
        return generator, f"{model.name} runs on the CPU, because the GPU failed: {error}"


def load_on_cpu(
    model: Model, compute_type: str, threads: int, at_a_time: int = 2
) -> ctranslate2.Generator:
    """`threads` 0 leaves the number to CTranslate2. Raises EngineError.

    By default it computes two things at a time, on one copy of the weights and of the static
    prompts' states: prefetching is never in the way of a request.
    """
    try:
        return ctranslate2.Generator(
            str(model.directory),
            device="cpu",
            compute_type=compute_type,
            inter_threads=at_a_time,
            intra_threads=threads,
        )
    except (RuntimeError, ValueError) as error:
        raise EngineError(
            f"{model.directory} cannot be loaded ({error}); install the model again"
        ) from error


def _load_on_cuda(model: Model, compute_type: str) -> ctranslate2.Generator:
    if compute_type == "default":
        wanted = _CUDA_COMPUTE_TYPES.get(str(model.card.get("quantization")), "default")
        if wanted in ctranslate2.get_supported_compute_types("cuda"):
            compute_type = wanted
    generator = ctranslate2.Generator(
        str(model.directory), device="cuda", compute_type=compute_type
    )
    # A missing library or too little memory shows only in a computation.
    generator.generate_batch([[model.stop_tokens[0]]], max_length=1)
    return generator
