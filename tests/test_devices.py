"""The choice between GPU and CPU; the GPU here is one that fails as CTranslate2's do."""

from __future__ import annotations

from typing import Any

import ctranslate2
import pytest

from santa_lsp import EMBEDDED, models
from santa_lsp.completion.engine import EngineError, Limits
from santa_lsp.engines import load_engine
from santa_lsp.engines.ctranslate2 import CTranslate2Engine
from tests.support.editor import Desk

OUT_OF_MEMORY = RuntimeError("CUDA failed with error out of memory")


class Gpu:
    """Loads on the CPU what is asked of CUDA, and fails when it is told to."""

    def __init__(self) -> None:
        self.devices = 1
        self.compute_types = {"int8_float16", "float16", "float32"}
        self.asked: list[dict[str, Any]] = []
        self.fail_loading = self.fail_generating = False
        self._load = ctranslate2.Generator

    def load(self, directory: str, device: str, compute_type: str, **options: Any) -> Any:
        if device == "cpu":
            return self._load(directory, device=device, compute_type=compute_type, **options)
        self.asked.append({"compute_type": compute_type, **options})
        if self.fail_loading:
            raise OUT_OF_MEMORY
        return OnGpu(self, self._load(directory, device="cpu", intra_threads=1))


class OnGpu:
    def __init__(self, gpu: Gpu, generator: Any) -> None:
        self._gpu = gpu
        self._generator = generator
        self.device = "cuda"

    def generate_batch(self, *arguments: Any, **options: Any) -> Any:
        if self._gpu.fail_generating:
            raise OUT_OF_MEMORY
        return self._generator.generate_batch(*arguments, **options)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    found = Gpu()
    monkeypatch.setattr(ctranslate2, "Generator", found.load)
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: found.devices)
    monkeypatch.setattr(
        ctranslate2, "get_supported_compute_types", lambda device: found.compute_types
    )
    return found


def load(device: str = "auto", compute_type: str = "default") -> CTranslate2Engine:
    return CTranslate2Engine(models.find(EMBEDDED), device, compute_type, threads=1)


def complete(engine: CTranslate2Engine) -> int:
    tokens: list[int] = []
    ids = engine.encode("import ")
    engine.generate_tokens(ids, Limits(3), lambda token: bool(tokens.append(token.id)))
    return len(tokens)


def test_the_gpu_is_used_when_there_is_one(gpu: Gpu) -> None:
    engine = load()
    assert (engine.device, engine.notice) == ("cuda", "")
    assert gpu.asked == [{"compute_type": "int8_float16"}]
    assert complete(engine)


def test_a_compute_type_of_the_user_is_kept(gpu: Gpu) -> None:
    load(compute_type="float32")
    assert gpu.asked == [{"compute_type": "float32"}]


def test_an_old_gpu_computes_as_ctranslate2_chooses(gpu: Gpu) -> None:
    gpu.compute_types = {"float32"}
    load()
    assert gpu.asked == [{"compute_type": "default"}]


def test_the_cpu_is_used_when_asked_for(gpu: Gpu) -> None:
    assert load("cpu").device == "cpu"
    assert not gpu.asked


def test_without_a_gpu_auto_is_the_cpu_and_cuda_an_error(gpu: Gpu) -> None:
    gpu.devices = 0
    engine = load("auto")
    assert (engine.device, engine.notice) == ("cpu", "")
    with pytest.raises(EngineError, match="no CUDA device"):
        load("cuda")


@pytest.mark.parametrize("device", ["auto", "cuda"])
@pytest.mark.parametrize("fault", ["fail_loading", "fail_generating"])
def test_a_gpu_that_fails_at_first_is_left_with_a_notice(gpu: Gpu, fault: str, device: str) -> None:
    setattr(gpu, fault, True)
    engine = load(device, "int8_float16")
    assert engine.device == "cpu"
    assert engine.notice.startswith("santa-mini runs on the CPU, because the GPU failed: CUDA")
    assert complete(engine)


async def test_the_user_is_told_of_a_gpu_that_fails(gpu: Gpu) -> None:
    gpu.fail_loading = True
    desk = await Desk.loading(load_engine, threads=1)
    for _ in range(2):  # the second load succeeds, and there is nothing to tell
        await desk.session.load_model()
        (told,) = desk.editor.told("window/showMessage")
        assert "runs on the CPU, because the GPU failed" in told["message"]
        gpu.fail_loading = False


def test_a_gpu_that_fills_up_later_is_left_with_an_error(gpu: Gpu) -> None:
    engine = load()
    gpu.fail_generating = True
    with pytest.raises(EngineError, match="ran out of memory; santa-mini runs on the CPU"):
        complete(engine)
    assert engine.device == "cpu"
    assert complete(engine)
