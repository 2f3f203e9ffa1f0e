"""SantaCoder's architecture: GPT-2 with multi-query attention.

Learned absolute positions, pre-norm LayerNorm, tanh-GELU, tied head, one key/value head (Shazeer
2019, arXiv:1911.02150; Allal et al. 2023, arXiv:2301.03988). Parameter names, row order and
`config.json` are those of transformers' `gpt_bigcode`, so that every tool for that format reads
our checkpoints.

Shapes: B batch, T tokens, C n_embd, H n_head, D = C / H.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True, slots=True)
class GPTConfig:
    """Sizes of a model; `n_inner` 0 means 4 * n_embd."""

    vocab_size: int
    n_positions: int
    n_embd: int
    n_layer: int
    n_head: int
    n_inner: int = 0
    layer_norm_epsilon: float = 1e-5
    eos_token_id: int = 0
    path_comment: bool = False  # see santa_lsp.families.prompt

    def __post_init__(self) -> None:
        if self.n_embd % self.n_head:
            raise ValueError(f"n_embd {self.n_embd} is not a multiple of n_head {self.n_head}")
        if not self.n_inner:
            object.__setattr__(self, "n_inner", 4 * self.n_embd)

    @property
    def head_dim(self) -> int:
        return self.n_embd // self.n_head

    def to_json(self) -> dict[str, object]:
        """The `config.json` of transformers' gpt_bigcode."""
        return {
            "model_type": "gpt_bigcode",
            "architectures": ["GPTBigCodeForCausalLM"],
            "vocab_size": self.vocab_size,
            "n_positions": self.n_positions,
            "n_embd": self.n_embd,
            "n_layer": self.n_layer,
            "n_head": self.n_head,
            "n_inner": self.n_inner,
            "activation_function": "gelu_pytorch_tanh",
            "multi_query": True,
            "scale_attn_weights": True,
            "tie_word_embeddings": True,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "bos_token_id": self.eos_token_id,
            "eos_token_id": self.eos_token_id,
            "use_cache": True,
            "path_comment": self.path_comment,
            "torch_dtype": "float32",
        }

    @classmethod
    def from_json(cls, config: dict[str, Any]) -> GPTConfig:
        """Raises ValueError for a config that this architecture cannot hold."""
        expected = {"model_type": "gpt_bigcode", "multi_query": True}
        for key, value in expected.items():
            if config.get(key, value) != value:
                raise ValueError(
                    f"config.json has {key}={config[key]!r}; this model needs {value!r}"
                )
        fields = cls.__dataclass_fields__
        return cls(**{key: config[key] for key in fields if key in config})


class KVCache:
    """Keys and values of the tokens seen so far: for each layer k and v, [B, 1, T, D]."""

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


class Attention(nn.Module):
    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.n_head, self.head_dim = config.n_head, config.head_dim
        # Rows q (C) | k (D) | v (D): one key/value head serves every query head.
        self.c_attn = nn.Linear(config.n_embd, config.n_embd + 2 * self.head_dim)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)

    def forward(self, x: Tensor, mask: Tensor | None, cache: KVCache | None) -> Tensor:
        """Causal without a mask. A mask [B or 1, 1, T, past + T] is True where tokens may look."""
        B, T, C = x.shape
        q, k, v = self.c_attn(x).split((C, self.head_dim, self.head_dim), dim=2)
        q = q.view(B, T, self.n_head, self.head_dim).transpose(1, 2)  # [B, H, T, D]
        k, v = k.unsqueeze(1), v.unsqueeze(1)  # [B, 1, T, D]
        if cache is not None:
            k, v = cache.append(self.layer, k, v)
        k, v = (t.expand(B, self.n_head, t.shape[2], self.head_dim) for t in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        projected: Tensor = self.c_proj(y.transpose(1, 2).reshape(B, T, C))
        return projected


class MLP(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, config.n_inner)
        self.c_proj = nn.Linear(config.n_inner, config.n_embd)

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))
        return projected


class Block(nn.Module):
    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.attn = Attention(config, layer)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.mlp = MLP(config)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, cache: KVCache | None = None
    ) -> Tensor:
        x = x + self.attn(self.ln_1(x), mask, cache)
        x = x + self.mlp(self.ln_2(x))
        return x


class GPT(nn.Module):
    """`forward(ids [B, T]) -> logits [B, T, vocab_size]`; with targets, the summed loss in nats."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        #: Whether training recomputes each block's activations instead of keeping them.
        self.recompute = False
        self._loss = _loss
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(config.vocab_size, config.n_embd),
                "wpe": nn.Embedding(config.n_positions, config.n_embd),
                "h": nn.ModuleList(Block(config, layer) for layer in range(config.n_layer)),
                "ln_f": nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon),
            }
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """GPT-2's initialization; projections into the residual stream start smaller with depth.

        Positions start as sinusoids of the same size (Vaswani et al. 2017): the model then finds
        tokens a few places back at once, and need not learn that positions are a line.
        """
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif "ln_" not in name:
                residual = name.endswith("c_proj.weight")
                std = 0.02 / math.sqrt(2 * self.config.n_layer) if residual else 0.02
                nn.init.normal_(parameter, std=std)
        positions = self.transformer["wpe"].get_parameter("weight")
        if not positions.is_meta:
            with torch.no_grad():
                positions.copy_(0.02 * math.sqrt(2) * _sinusoids(*positions.shape))

    def hidden(
        self, ids: Tensor, cache: KVCache | None = None, documents: Tensor | None = None
    ) -> Tensor:
        """Final normalized states [B, T, C]. Raises ValueError past n_positions.

        `documents` [B, T] numbers the document that each token belongs to, in order: tokens see
        their own document only, and its positions start at 0.
        """
        past = cache.length if cache is not None else 0
        T = ids.shape[1]
        if past + T > self.config.n_positions:
            raise ValueError(
                f"{past + T} tokens are more than n_positions {self.config.n_positions}"
            )
        if documents is None:
            positions = torch.arange(past, past + T, device=ids.device)
            mask = None
            if past:  # new tokens see all of the past and each other causally
                mask = torch.ones(T, past + T, dtype=torch.bool, device=ids.device).tril(past)
        else:
            positions, mask = _kept_apart(documents)
        x: Tensor = self.transformer["wte"](ids) + self.transformer["wpe"](positions)
        for block in self.transformer["h"].children():
            if cache is not None:
                x = block.forward(x, mask, cache)  # of growing lengths: never compiled
            elif self.recompute and self.training:
                x = checkpoint(block, x, mask, use_reentrant=False)
            else:
                x = block(x, mask)
        x = self.transformer["ln_f"](x)
        return x

    def forward(
        self,
        ids: Tensor,
        targets: Tensor | None = None,
        cache: KVCache | None = None,
        documents: Tensor | None = None,
    ) -> Tensor:
        """Targets [B, T] of -1 carry no loss."""
        x = self.hidden(ids, cache, documents)
        head = self.transformer["wte"].get_parameter("weight")
        return F.linear(x, head) if targets is None else self._loss(x, head, targets)

    def compile_parts(self) -> None:
        """Compile the blocks and the loss, which on a CPU takes a fifth of a step."""
        for block in self.transformer["h"].children():
            block.compile()
        self._loss = torch.compile(_loss)

    @torch.inference_mode()
    def generate(self, prompt_ids: list[int], max_new_tokens: int) -> list[int]:
        """Greedy continuation of one prompt, without the end-of-text token that may close it."""
        device = self.transformer["wte"].get_parameter("weight").device
        cache = KVCache(self.config.n_layer)
        ids = torch.tensor([prompt_ids], device=device)
        output: list[int] = []
        for _ in range(min(max_new_tokens, self.config.n_positions - len(prompt_ids))):
            token = int(self(ids, cache=cache)[0, -1].argmax())
            if token == self.config.eos_token_id:
                break
            output.append(token)
            ids = torch.tensor([[token]], device=device)
        return output

    def parameter_count(self) -> int:
        """Parameters, the tied head counted once."""
        return sum(parameter.numel() for parameter in self.parameters())

    def save(self, directory: Path) -> None:
        """Write `model.safetensors` (without the tied head, as gpt_bigcode) and `config.json`."""
        write_checkpoint(directory, self.state_dict(), self.config)

    @classmethod
    def load(cls, directory: Path) -> GPT:
        """Raises ValueError when the files do not hold a model of this architecture."""
        config = GPTConfig.from_json(json.loads((directory / "config.json").read_text()))
        model = cls(config)
        tensors = load_file(directory / "model.safetensors")
        tensors.pop("lm_head.weight", None)
        try:
            model.load_state_dict(tensors)
        except RuntimeError as error:
            raise ValueError(f"{directory}: the weights do not fit config.json: {error}") from error
        return model


def write_checkpoint(directory: Path, tensors: Mapping[str, Tensor], config: GPTConfig) -> None:
    """Write the files that `GPT.load` reads. Raises OSError, SafetensorError."""
    directory.mkdir(parents=True, exist_ok=True)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(plain, directory / "model.safetensors", metadata={"format": "pt"})
    (directory / "config.json").write_text(json.dumps(config.to_json(), indent=2) + "\n")


def _sinusoids(n_positions: int, n_embd: int) -> Tensor:
    """[n_positions, n_embd]: sines, then cosines, of wavelengths from 6 to 6 * n_positions."""
    rates = n_positions ** (-torch.arange(0, n_embd, 2) / n_embd)
    angles = torch.arange(n_positions)[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), dim=1)[:, :n_embd]


def _loss(x: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Summed over the targets, in nats."""
    logits = F.linear(x, head).flatten(0, 1).float()
    return F.cross_entropy(logits, targets.flatten(), ignore_index=-1, reduction="sum")


def _kept_apart(documents: Tensor) -> tuple[Tensor, Tensor]:
    """Positions [B, T] within each document; the mask [B, 1, T, T] of its causal attention."""
    T = documents.shape[1]
    index = torch.arange(T, device=documents.device)
    first = torch.ones_like(documents, dtype=torch.bool)
    first[:, 1:] = documents[:, 1:] != documents[:, :-1]
    start = torch.where(first, index, 0).cummax(dim=1).values
    same = documents[:, :, None] == documents[:, None, :]
    return index - start, (same & (index[:, None] >= index)).unsqueeze(1)
