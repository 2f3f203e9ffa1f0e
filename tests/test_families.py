"""Architectures, configurations and tables of names; no weights of a real model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from santa_lsp.convert.layouts import to_canonical
from santa_lsp.convert.tensors import Tensor
from santa_lsp.families import families, family_named, family_of, gguf_model_type
from santa_lsp.families.architecture import (
    Architecture,
    FamilyError,
    LinearScaling,
    Llama3Scaling,
    Rotary,
)
from santa_lsp.families.family import Family, Layout
from santa_lsp.families.gguf import config_of


@st.composite
def sizes(draw: st.DrawFn) -> dict[str, int]:
    n_kv_head, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return {
        "vocab_size": draw(st.integers(1, 20)),
        "n_positions": draw(st.integers(1, 9)),
        "n_layer": draw(st.integers(1, 12)),
        "n_embd": draw(st.integers(1, 6)) * n_kv_head * groups,
        "n_inner": draw(st.integers(1, 9)),
        "n_head": n_kv_head * groups,
        "n_kv_head": n_kv_head,
    }


@st.composite
def rotaries(draw: st.DrawFn, head_dim: int) -> Rotary:
    scalings = (
        st.none(),
        st.builds(LinearScaling, st.floats(1, 64)),
        st.builds(
            Llama3Scaling, st.floats(1, 64), st.floats(0.5, 2), st.floats(3, 8), st.just(8192)
        ),
    )
    return Rotary(head_dim, draw(st.floats(100, 1e7)), scaling=draw(st.one_of(scalings)))


@st.composite
def architectures(draw: st.DrawFn, family: str) -> Architecture:
    """One that the family can write."""
    values = draw(sizes())
    tied, bias = draw(st.booleans()), draw(st.booleans())
    epsilon = draw(st.floats(1e-6, 1e-2))
    if family == "gpt_bigcode":
        values["n_kv_head"] = 1
        return Architecture(**values, norm_epsilon=epsilon, tied=tied)
    head_dim = 2 * draw(st.integers(1, 4))
    window = draw(st.none() | st.integers(1, 9))
    common = {
        **values,
        "head_dim": head_dim,
        "rotary": draw(rotaries(head_dim)),
        "norm_epsilon": epsilon,
        "tied": tied,
        "sliding_window": window,
    }
    if family == "starcoder2":
        biases = {"qkv_bias": bias, "attention_output_bias": bias, "mlp_bias": bias}
        return Architecture(**common, **biases)
    common |= {"norm": "rms", "norm_bias": False, "activation": "silu", "gated": True}
    if family == "qwen2":
        return Architecture(**common, attention_output_bias=False, mlp_bias=False)
    granite = {}
    if draw(st.booleans()):
        common["sliding_window"] = None
        scales = st.sampled_from([0.125, 0.5, 2.0, 8.0])
        granite = {
            name: draw(scales)
            for name in ("embedding_scale", "attention_scale", "residual_scale", "logit_scale")
        }
    return Architecture(
        **common,
        **granite,
        qkv_bias=bias,
        attention_output_bias=bias,
        mlp_bias=draw(st.booleans()),
    )


@given(data=st.data(), name=st.sampled_from([family.name for family in families()]))
@settings(max_examples=100, deadline=None)
def test_a_configuration_and_a_checkpoint_come_back(data: st.DataObject, name: str) -> None:
    """Architecture -> config.json -> Architecture; canonical -> published -> canonical tensors."""
    family = family_named(name)
    architecture = data.draw(architectures(name))
    config = family.write_config(architecture)
    assert family_of(config) is family
    assert family.read_config(config) == architecture

    random = np.random.default_rng(0)
    canonical = {
        name: random.standard_normal(shape).astype(np.float32)
        for name, shape in architecture.tensor_shapes().items()
    }
    published = family.publish(canonical, architecture, split_rows)
    assert sum(array.size for array in published.values()) == architecture.parameters
    found = to_canonical(tensors(published), Layout(family.names), architecture)
    assert found.keys() == canonical.keys()
    for name, array in canonical.items():
        np.testing.assert_array_equal(found[name].read(), array)


def split_rows(array: np.ndarray, rows: list[int]) -> list[np.ndarray]:
    return np.split(array, np.cumsum(rows)[:-1])


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    return {
        name: Tensor(array.shape, lambda array=array: array.copy())  # type: ignore[misc]
        for name, array in arrays.items()
    }


@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
def test_no_two_modules_share_a_name(family: Family) -> None:
    for names in (family.names, family.gguf_layout.names):
        flat = [(ours, name) for ours, theirs in names.items() for name in _listed(theirs)]
        assert len(flat) == len({name for _, name in flat})
        assert all(ours.count("{}") == name.count("{}") for ours, name in flat)


def _listed(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def test_each_family_is_found_by_each_of_its_names() -> None:
    for family in families():
        assert family_named(family.name) is family
        assert all(family_of({"model_type": name}) is family for name in family.model_types)
        for architecture, model_type in family.gguf.items():
            assert gguf_model_type(architecture) == model_type
            assert model_type in family.model_types
    with pytest.raises(FamilyError, match="no family 'x'"):
        family_named("x")


SMALL = Architecture(
    vocab_size=10, n_positions=8, n_layer=2, n_embd=12, n_inner=20, n_head=6, n_kv_head=2
)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_layer": 0}, "n_layer must be a positive number, not 0"),
        ({"n_layer": 2**31}, "n_layer must be at most 1000, not 2147483648"),
        ({"vocab_size": "10"}, "vocab_size must be a positive number, not '10'"),
        ({"n_inner": True}, "n_inner must be a positive number"),
        ({"n_embd": 13, "head_dim": 0}, "n_embd 13 is not a multiple of n_head 6"),
        ({"n_kv_head": 4}, "n_head 6 is not a multiple of n_kv_head 4"),
        ({"head_dim": -2}, "head_dim must be a positive number, not -2"),
        ({"activation": "mish"}, "activation 'mish' is not one of"),
        ({"norm": "rms"}, "an RMS normalisation has no bias"),
        ({"norm_epsilon": math.nan}, "norm_epsilon must be a positive number"),
        ({"norm_epsilon": "small"}, "norm_epsilon must be a positive number"),
        ({"attention_scale": 0.0}, "attention_scale must be a positive number"),
        ({"sliding_window": 0}, "sliding_window must be positive"),
        ({"rotary": Rotary(3)}, "rotary positions of 3 dimensions do not fit heads of 2"),
        ({"rotary": Rotary(4)}, "rotary positions of 4 dimensions do not fit heads of 2"),
        ({"rotary": Rotary(2, base=1.0)}, "base of rotary positions must be above 1"),
        ({"rotary": Rotary(2, scaling=LinearScaling(0.5))}, "cannot be scaled by 0.5"),
        ({"rotary": Rotary(2, scaling=Llama3Scaling(8, 4, 4, 32))}, "cannot be scaled by"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(FamilyError, match=words):
        dataclasses.replace(SMALL, **change)  # type: ignore[arg-type]


def test_exact_positions_end_with_the_window() -> None:
    assert SMALL.exact_positions == 8
    assert dataclasses.replace(SMALL, sliding_window=5).exact_positions == 5
    assert dataclasses.replace(SMALL, sliding_window=50).exact_positions == 8


@pytest.mark.parametrize(
    ("family", "change"),
    [
        ("gpt_bigcode", {}),  # two key/value heads
        ("gpt_bigcode", {"n_kv_head": 1, "gated": True}),
        ("llama", {}),  # learned positions
        ("llama", {"rotary": Rotary(2), "attention_output_bias": False}),
        ("qwen2", {"rotary": Rotary(2)}),  # biases everywhere
        ("starcoder2", {"rotary": Rotary(2), "gated": True}),
    ],
)
def test_a_family_does_not_write_what_is_not_its_own(
    family: str, change: dict[str, object]
) -> None:
    with pytest.raises(FamilyError):
        family_named(family).write_config(dataclasses.replace(SMALL, **change))  # type: ignore[arg-type]


def test_llama_3_stretches_long_waves_alone() -> None:
    scaling = Llama3Scaling(8.0, 1.0, 4.0, n_positions=8192)
    assert scaling.stretch(2000.0) == 1  # more than four waves in what it was trained on
    assert scaling.stretch(9000.0) == 8  # less than one
    assert 1 < scaling.stretch(4000.0) < 8


GGUF = {
    "general.architecture": "llama",
    "llama.context_length": 64,
    "llama.embedding_length": 48,
    "llama.block_count": 2,
    "llama.feed_forward_length": 80,
    "llama.attention.head_count": 6,
    "llama.attention.head_count_kv": 2,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
}
SHAPES = {"token_embd.weight": (301, 48)}


def from_gguf(
    more: dict[str, object],
    factors: list[float] | None = None,
    shapes: dict[str, tuple[int, ...]] = SHAPES,
) -> Architecture:
    config = config_of({**GGUF, **more}, "llama", shapes, factors)
    return family_of(config).read_config(config)


def test_a_gguf_files_metadata_is_a_configuration() -> None:
    found = from_gguf({"llama.rope.freq_base": 1e6})
    assert (found.vocab_size, found.n_positions, found.n_inner, found.n_kv_head) == (301, 64, 80, 2)
    assert (found.norm, found.gated, found.tied, found.qkv_bias) == ("rms", True, True, False)
    assert found.rotary == Rotary(8, 1e6)
    wide = from_gguf({"llama.attention.key_length": 16, "llama.rope.dimension_count": 16})
    assert (wide.head_dim, wide.rotary) == (16, Rotary(16))
    linear = {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}
    assert from_gguf(linear).rotary == Rotary(8, scaling=LinearScaling(4.0))
    assert from_gguf({"llama.rope.scale_linear": 2.0}).rotary == Rotary(
        8, scaling=LinearScaling(2.0)
    )
    assert from_gguf({**linear, "llama.rope.scaling.type": "none"}).rotary == Rotary(8)
    biased = from_gguf(
        {}, shapes={**SHAPES, "blk.0.attn_q.bias": (48,), "output.weight": (301, 48)}
    )
    assert (biased.qkv_bias, biased.mlp_bias, biased.tied) == (True, False, False)


def test_factors_of_llama_3_are_recognised() -> None:
    scaling = Llama3Scaling(32.0, 1.0, 4.0, n_positions=8192)
    rotary = Rotary(8, 500_000.0, scaling=scaling)
    factors = [scaling.stretch(wavelength) for wavelength in rotary.wavelengths()]
    assert 1 in factors
    assert 32 in factors
    assert from_gguf({"llama.rope.freq_base": 500_000.0}, factors).rotary == rotary
    with pytest.raises(FamilyError, match="factors of its own"):
        from_gguf({"llama.rope.freq_base": 500_000.0}, [1.0, 2.0, 3.0, 32.0])


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: from_gguf({"llama.expert_count": 8}), "mixture of experts"),
        (lambda: from_gguf({"llama.rope.scaling.type": "yarn"}), "scaled by 'yarn'"),
        (lambda: from_gguf({"llama.attention.head_count_kv": [2, 1]}), "its layers differ in"),
        (lambda: gguf_model_type("qwen2moe"), "mixture of experts"),
        (lambda: gguf_model_type("mamba"), "state-space layers"),
        (lambda: gguf_model_type("gemma3"), "architecture 'gemma3' is another"),
    ],
)
def test_gguf_files_that_cannot_be_held_are_refused(ask: Callable[[], object], words: str) -> None:
    with pytest.raises(FamilyError, match=f"{words}.*an inference server"):
        ask()
