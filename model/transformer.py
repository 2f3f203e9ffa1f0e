"""A decoder of any family: one module, with switches over its Architecture.

Its parameters have the canonical names and orders of santa_lsp.families.architecture;
model.checkpoint reads and writes those that a family publishes.

Shapes: B batch, T tokens, S tokens that can be seen, C n_embd, H n_head, K n_kv_head, D head_dim.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from santa_lsp.families.architecture import (
    Activation,
    Architecture,
    LinearScaling,
    Llama3Scaling,
    Rotary,
)

_ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "relu": F.relu,
    "silu": F.silu,
}


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What a model is: its architecture, and what else its checkpoint's config.json says."""

    architecture: Architecture
    family: str = "gpt_bigcode"
    eos_token_id: int = 0
    path_comment: bool = False  # see santa_lsp.families.prompt

    @classmethod
    def santacoder(
        cls, vocab_size: int, n_positions: int, n_embd: int, n_layer: int, n_head: int
    ) -> ModelConfig:
        """SantaCoder's architecture at these sizes: GPT-2 with one key/value head (Shazeer 2019,
        arXiv:1911.02150; Allal et al. 2023, arXiv:2301.03988). Raises FamilyError."""
        return cls(
            Architecture(
                vocab_size=vocab_size,
                n_positions=n_positions,
                n_layer=n_layer,
                n_embd=n_embd,
                n_inner=4 * n_embd,
                n_head=n_head,
                n_kv_head=1,
            )
        )


class KVCache:
    """Keys and values of the tokens seen so far: for each layer k and v, [B, K, S, D]."""

    def __init__(self, n_layer: int) -> None:
        self.keys: list[Tensor | None] = [None] * n_layer
        self.values: list[Tensor | None] = [None] * n_layer

    @property
    def length(self) -> int:
        return 0 if self.keys[0] is None else self.keys[0].shape[2]

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        past_k, past_v = self.keys[layer], self.values[layer]
        if past_k is not None and past_v is not None:
            k, v = torch.cat((past_k, k), dim=2), torch.cat((past_v, v), dim=2)
        self.keys[layer], self.values[layer] = k, v
        return k, v


#: Cosines and sines of rotary positions, [T, dim / 2] or, where rows differ, [B, 1, T, dim / 2].
Rotation = tuple[Tensor, Tensor]


class Attention(nn.Module):
    def __init__(self, architecture: Architecture, layer: int) -> None:
        super().__init__()
        self.architecture, self.layer = architecture, layer
        rows = architecture.qkv_rows  # q (H D) | k (K D) | v (K D)
        self.c_attn = nn.Linear(architecture.n_embd, sum(rows), bias=architecture.qkv_bias)
        self.c_proj = nn.Linear(
            rows[0], architecture.n_embd, bias=architecture.attention_output_bias
        )

    def forward(
        self, x: Tensor, mask: Tensor | None, rotation: Rotation | None, cache: KVCache | None
    ) -> Tensor:
        """Causal without a mask. A mask [T, S] or [B, 1, T, S] is True where tokens may look."""
        architecture, D = self.architecture, self.architecture.head_dim
        q, k, v = (
            part.unflatten(2, (-1, D)).transpose(1, 2)  # [B, H or K, T, D]
            for part in self.c_attn(x).split(architecture.qkv_rows, dim=2)
        )
        if rotation is not None and architecture.rotary is not None:
            q, k = (_turn(t, rotation, architecture.rotary) for t in (q, k))
        if cache is not None:
            k, v = cache.append(self.layer, k, v)
        k, v = (_for_each_query_head(t, architecture.n_head) for t in (k, v))
        y = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, scale=architecture.attention_scale
        )
        projected: Tensor = self.c_proj(y.transpose(1, 2).flatten(2))
        return projected


class MLP(nn.Module):
    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        C, inner, bias = architecture.n_embd, architecture.n_inner, architecture.mlp_bias
        self.activation = _ACTIVATIONS[architecture.activation]
        self.c_gate = nn.Linear(C, inner, bias=bias) if architecture.gated else None
        self.c_fc = nn.Linear(C, inner, bias=bias)
        self.c_proj = nn.Linear(inner, C, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.c_gate is None:
            inner = self.activation(self.c_fc(x))
        else:
            inner = self.activation(self.c_gate(x)) * self.c_fc(x)
        projected: Tensor = self.c_proj(inner)
        return projected


class Block(nn.Module):
    def __init__(self, architecture: Architecture, layer: int) -> None:
        super().__init__()
        self.residual_scale = architecture.residual_scale
        self.ln_1 = _norm(architecture)
        self.attn = Attention(architecture, layer)
        self.ln_2 = _norm(architecture)
        self.mlp = MLP(architecture)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        rotation: Rotation | None = None,
        cache: KVCache | None = None,
    ) -> Tensor:
        x = x.add(self.attn(self.ln_1(x), mask, rotation, cache), alpha=self.residual_scale)
        return x.add(self.mlp(self.ln_2(x)), alpha=self.residual_scale)


class Transformer(nn.Module):
    """`forward(ids [B, T]) -> logits [B, T, vocab_size]`; with targets, the summed loss in nats."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        #: Whether training recomputes each block's activations instead of keeping them.
        self.recompute = False
        self._loss = _loss
        architecture = config.architecture
        vocab_size, C = architecture.vocab_size, architecture.n_embd
        self.wte = nn.Embedding(vocab_size, C)
        self.wpe = None if architecture.rotary else nn.Embedding(architecture.n_positions, C)
        self.h = nn.ModuleList(Block(architecture, layer) for layer in range(architecture.n_layer))
        self.ln_f = _norm(architecture)
        self.lm_head = None if architecture.tied else nn.Linear(C, vocab_size, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """GPT-2's initialization; projections into the residual stream start smaller with depth.

        Learned positions start as sinusoids of the same size (Vaswani et al. 2017): the model then
        finds tokens a few places back at once, and need not learn that positions are a line.
        """
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif "ln_" not in name:
                residual = name.endswith("c_proj.weight")
                std = 0.02 / math.sqrt(2 * len(self.h)) if residual else 0.02
                nn.init.normal_(parameter, std=std)
        if self.wpe is not None and not self.wpe.weight.is_meta:
            with torch.no_grad():
                self.wpe.weight.copy_(0.02 * math.sqrt(2) * _sinusoids(*self.wpe.weight.shape))

    def hidden(
        self, ids: Tensor, cache: KVCache | None = None, documents: Tensor | None = None
    ) -> Tensor:
        """Final normalized states [B, T, C]. Raises ValueError past n_positions.

        `documents` [B, T] numbers the document that each token belongs to, in order: tokens see
        their own document only, and its positions start at 0.
        """
        architecture = self.config.architecture
        past = cache.length if cache is not None else 0
        S = past + ids.shape[1]
        if architecture.n_positions < S:
            raise ValueError(f"{S} tokens are more than n_positions {architecture.n_positions}")
        index = torch.arange(S, device=ids.device)
        positions = index[past:] if documents is None else _positions_within(documents, index)
        mask = None
        if past or documents is not None or architecture.exact_positions < S:
            mask = _visible(index[past:], index, architecture.sliding_window)
        if mask is not None and documents is not None:
            mask = mask & (documents[:, None, :, None] == documents[:, None, None, :])
        x: Tensor = self.wte(ids) * architecture.embedding_scale
        rotation = None
        if self.wpe is not None:
            x = x + self.wpe(positions)
        elif architecture.rotary is not None:
            rotation = _rotation(positions, architecture.rotary)
        for block in self.h:
            if cache is not None:
                x = block.forward(x, mask, rotation, cache)  # of growing lengths: never compiled
            elif self.recompute and self.training:
                x = checkpoint(block, x, mask, rotation, use_reentrant=False)
            else:
                x = block(x, mask, rotation)
        x = self.ln_f(x)
        return x

    def forward(
        self,
        ids: Tensor,
        targets: Tensor | None = None,
        cache: KVCache | None = None,
        documents: Tensor | None = None,
    ) -> Tensor:
        """Targets [B, T] of -1 carry no loss."""
        x = self.hidden(ids, cache, documents) * self.config.architecture.logit_scale
        head = (self.lm_head or self.wte).weight
        return F.linear(x, head) if targets is None else self._loss(x, head, targets)

    def compile_parts(self) -> None:
        """Compile the blocks and the loss, which on a CPU takes a fifth of a step."""
        for block in self.h:
            block.compile()
        self._loss = torch.compile(_loss)

    @torch.inference_mode()
    def generate(self, prompt_ids: list[int], max_new_tokens: int) -> list[int]:
        """Greedy continuation of one prompt, without the end-of-text token that may close it."""
        architecture, device = self.config.architecture, self.wte.weight.device
        cache = KVCache(architecture.n_layer)
        ids = torch.tensor([prompt_ids], device=device)
        output: list[int] = []
        for _ in range(min(max_new_tokens, architecture.n_positions - len(prompt_ids))):
            token = int(self(ids, cache=cache)[0, -1].argmax())
            if token == self.config.eos_token_id:
                break
            output.append(token)
            ids = torch.tensor([[token]], device=device)
        return output

    def parameter_count(self) -> int:
        """Parameters, a tied head counted once."""
        return sum(parameter.numel() for parameter in self.parameters())


def _norm(architecture: Architecture) -> nn.Module:
    C, epsilon = architecture.n_embd, architecture.norm_epsilon
    if architecture.norm == "rms":
        return nn.RMSNorm(C, eps=epsilon)
    return nn.LayerNorm(C, eps=epsilon, bias=architecture.norm_bias)


def _for_each_query_head(t: Tensor, n_head: int) -> Tensor:
    """[B, K, S, D] -> [B, H, S, D]: a key/value head serves H / K query heads in a row."""
    B, K, S, D = t.shape
    return t[:, :, None].expand(B, K, n_head // K, S, D).reshape(B, n_head, S, D)


def _rotation(positions: Tensor, rotary: Rotary) -> Rotation:
    """Of positions [T] or [B, T], in float32."""
    rates = torch.tensor(_rates(rotary), device=positions.device)
    angles = positions[..., None] * rates
    if positions.dim() == 2:
        angles = angles.unsqueeze(1)
    return angles.cos(), angles.sin()


def _rates(rotary: Rotary) -> list[float]:
    """Radians a position by which each of the dim / 2 pairs of dimensions turns."""
    wavelengths = rotary.wavelengths()
    if isinstance(rotary.scaling, LinearScaling):
        wavelengths = [rotary.scaling.factor * each for each in wavelengths]
    elif isinstance(rotary.scaling, Llama3Scaling):
        wavelengths = [rotary.scaling.stretch(each) * each for each in wavelengths]
    return [math.tau / each for each in wavelengths]


def _turn(x: Tensor, rotation: Rotation, rotary: Rotary) -> Tensor:
    """Queries or keys [B, H, T, D] turned by their positions, in their own type."""
    cos, sin = (each.to(x.dtype) for each in rotation)
    turned, rest = x[..., : rotary.dim], x[..., rotary.dim :]
    shape, axis = ((-1, 2), -1) if rotary.interleave else ((2, -1), -2)
    a, b = turned.unflatten(-1, shape).unbind(axis)
    turned = torch.stack((a * cos - b * sin, b * cos + a * sin), axis).flatten(-2)
    return torch.cat((turned, rest), -1) if rest.shape[-1] else turned


def _visible(queries: Tensor, keys: Tensor, window: int | None) -> Tensor:
    """Whether tokens at `queries` [T] see those at `keys` [S]: the last `window` with their own."""
    distance = queries[:, None] - keys
    seen = distance >= 0
    return seen if window is None else seen & (distance < window)


def _positions_within(documents: Tensor, index: Tensor) -> Tensor:
    """Positions [B, T] of tokens in their own document."""
    first = torch.ones_like(documents, dtype=torch.bool)
    first[:, 1:] = documents[:, 1:] != documents[:, :-1]
    return index - torch.where(first, index, 0).cummax(dim=1).values


def _sinusoids(n_positions: int, n_embd: int) -> Tensor:
    """[n_positions, n_embd]: sines, then cosines, of wavelengths from 6 to 6 * n_positions."""
    rates = n_positions ** (-torch.arange(0, n_embd, 2) / n_embd)
    angles = torch.arange(n_positions)[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), dim=1)[:, :n_embd]


def _loss(x: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Summed over the targets, in nats."""
    logits = F.linear(x, head).flatten(0, 1).float()
    return F.cross_entropy(logits, targets.flatten(), ignore_index=-1, reduction="sum")
