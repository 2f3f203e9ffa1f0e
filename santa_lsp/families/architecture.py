"""The architecture of a decoder: the one description that converting and training share.

Canonical tensor names are GPT-2's, as transformers' gpt_bigcode writes them, without the leading
`transformer.`. Every matrix is [out, in]. `attn.c_attn` has the rows q | k | v. In a gated MLP
`mlp.c_gate` goes through the activation and `mlp.c_fc` does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Norm = Literal["layer", "rms"]
#: `gelu_tanh` is the tanh approximation of `gelu`; `quick_gelu` the sigmoid one.
Activation = Literal["gelu", "gelu_tanh", "quick_gelu", "relu", "silu"]
ACTIVATIONS: tuple[Activation, ...] = ("gelu", "gelu_tanh", "quick_gelu", "relu", "silu")
_SIZES = ("vocab_size", "n_positions", "n_layer", "n_embd", "n_inner", "n_head", "n_kv_head")
_SCALES = ("norm_epsilon", "embedding_scale", "attention_scale", "residual_scale", "logit_scale")
#: More than any model has; a damaged file may say billions.
MOST_LAYERS = 1000


class FamilyError(ValueError):
    """A model that no family here describes; says why."""


@dataclass(frozen=True, slots=True)
class LinearScaling:
    """Positions are divided by `factor` (Chen et al. 2023, arXiv:2306.15595)."""

    factor: float


@dataclass(frozen=True, slots=True)
class Llama3Scaling:
    """Long wavelengths are stretched by `factor`, as Llama 3.1 does.

    Wavelengths of more than n_positions / low_freq_factor positions are stretched, those of less
    than n_positions / high_freq_factor are not, and between them it changes smoothly.
    """

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    n_positions: int  # that the model was trained with before its context was extended

    def stretch(self, wavelength: float) -> float:
        """What one wavelength, in positions, is multiplied by."""
        low, high = self.low_freq_factor, self.high_freq_factor
        smooth = (self.n_positions / wavelength - low) / (high - low)
        smooth = min(1.0, max(0.0, smooth))
        return 1 / ((1 - smooth) / self.factor + smooth)


@dataclass(frozen=True, slots=True)
class Rotary:
    """Rotary positions (Su et al. 2021, arXiv:2104.09864) of the first `dim` dimensions of a head.

    Dimensions i and i + dim / 2 turn together; with `interleave`, dimensions 2 i and 2 i + 1 do.
    """

    dim: int
    base: float = 10_000.0
    interleave: bool = False
    scaling: LinearScaling | Llama3Scaling | None = None

    def wavelengths(self) -> list[float]:
        """In positions, of each of the dim / 2 pairs, before scaling."""
        return [math.tau * self.base ** (2 * i / self.dim) for i in range(self.dim // 2)]


@dataclass(frozen=True, slots=True)
class Architecture:
    """Sizes and variants of a pre-norm decoder. Raises FamilyError when they do not fit together.

    The four scales are Granite's multipliers: of the embeddings, of attention scores (None is
    1 / sqrt(head_dim)), of what each block adds, and of the logits.
    """

    vocab_size: int
    n_positions: int
    n_layer: int
    n_embd: int
    n_inner: int
    n_head: int
    n_kv_head: int
    head_dim: int = 0  # 0: n_embd / n_head
    norm: Norm = "layer"
    norm_epsilon: float = 1e-5
    norm_bias: bool = True
    rotary: Rotary | None = None  # None: learned absolute positions
    activation: Activation = "gelu_tanh"
    gated: bool = False
    qkv_bias: bool = True
    attention_output_bias: bool = True
    mlp_bias: bool = True
    tied: bool = True  # the head is the embedding
    sliding_window: int | None = None  # tokens that attention sees; None: all
    embedding_scale: float = 1.0
    attention_scale: float | None = None
    residual_scale: float = 1.0
    logit_scale: float = 1.0

    def __post_init__(self) -> None:
        for name in _SIZES:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise FamilyError(f"{name} must be a positive number, not {value!r}")
        if self.n_layer > MOST_LAYERS:
            raise FamilyError(f"n_layer must be at most {MOST_LAYERS}, not {self.n_layer}")
        if self.head_dim < 0:
            raise FamilyError(f"head_dim must be a positive number, not {self.head_dim}")
        if not self.head_dim:
            if self.n_embd % self.n_head:
                raise FamilyError(f"n_embd {self.n_embd} is not a multiple of n_head {self.n_head}")
            object.__setattr__(self, "head_dim", self.n_embd // self.n_head)
        if self.n_head % self.n_kv_head:
            raise FamilyError(
                f"n_head {self.n_head} is not a multiple of n_kv_head {self.n_kv_head}"
            )
        if self.activation not in ACTIVATIONS:
            raise FamilyError(
                f"activation {self.activation!r} is not one of {', '.join(ACTIVATIONS)}"
            )
        if self.norm == "rms" and self.norm_bias:
            raise FamilyError("an RMS normalisation has no bias")
        if self.sliding_window is not None and self.sliding_window < 1:
            raise FamilyError(f"sliding_window must be positive, not {self.sliding_window}")
        self._check_numbers()
        if self.rotary is not None:
            self._check_rotary(self.rotary)

    def _check_numbers(self) -> None:
        for name in _SCALES:
            value = getattr(self, name)
            if name == "attention_scale" and value is None:
                continue
            if not isinstance(value, int | float) or not 0 < value < math.inf:
                raise FamilyError(f"{name} must be a positive number, not {value!r}")

    def _check_rotary(self, rotary: Rotary) -> None:
        if rotary.dim < 2 or rotary.dim % 2 or rotary.dim > self.head_dim:
            raise FamilyError(
                f"rotary positions of {rotary.dim} dimensions do not fit heads of {self.head_dim}"
            )
        if not rotary.base > 1:
            raise FamilyError(f"the base of rotary positions must be above 1, not {rotary.base}")
        scaling = rotary.scaling
        if scaling is not None and not scaling.factor >= 1:
            raise FamilyError(f"rotary positions cannot be scaled by {scaling.factor}")
        if isinstance(scaling, Llama3Scaling) and not (
            0 < scaling.low_freq_factor < scaling.high_freq_factor and scaling.n_positions > 0
        ):
            raise FamilyError(f"rotary positions cannot be scaled by {scaling}")

    @property
    def qkv_rows(self) -> tuple[int, int, int]:
        """Rows of q, k and v in `attn.c_attn`."""
        kv = self.n_kv_head * self.head_dim
        return self.n_head * self.head_dim, kv, kv

    @property
    def exact_positions(self) -> int:
        """Positions up to which no token falls out of the sliding window."""
        return min(self.n_positions, self.sliding_window or self.n_positions)

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every tensor, by its canonical name; an untied head comes last."""
        width, inner = self.n_embd, self.n_inner
        q, k, v = self.qkv_rows
        shapes: dict[str, tuple[int, ...]] = {"wte.weight": (self.vocab_size, width)}
        if self.rotary is None:
            shapes["wpe.weight"] = (self.n_positions, width)
        for layer in range(self.n_layer):
            block, bias = f"h.{layer}", self.mlp_bias
            shapes |= self._norm(f"{block}.ln_1")
            shapes |= _linear(f"{block}.attn.c_attn", q + k + v, width, self.qkv_bias)
            shapes |= _linear(f"{block}.attn.c_proj", width, q, self.attention_output_bias)
            shapes |= self._norm(f"{block}.ln_2")
            if self.gated:
                shapes |= _linear(f"{block}.mlp.c_gate", inner, width, bias)
            shapes |= _linear(f"{block}.mlp.c_fc", inner, width, bias)
            shapes |= _linear(f"{block}.mlp.c_proj", width, inner, bias)
        shapes |= self._norm("ln_f")
        if not self.tied:
            shapes["lm_head.weight"] = (self.vocab_size, width)
        return shapes

    def _norm(self, name: str) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {f"{name}.weight": (self.n_embd,)}
        if self.norm_bias:
            shapes[f"{name}.bias"] = (self.n_embd,)
        return shapes

    @property
    def parameters(self) -> int:
        """A tied head is counted once."""
        return sum(math.prod(shape) for shape in self.tensor_shapes().values())


def _linear(name: str, rows: int, columns: int, bias: bool) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {f"{name}.weight": (rows, columns)}
    if bias:
        shapes[f"{name}.bias"] = (rows,)
    return shapes
