"""The tensors of a file, by its family's table -> canonical tensors (see families.architecture)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from santa_lsp.convert.errors import ConvertError
from santa_lsp.convert.tensors import (
    Tensor,
    halve_heads,
    pair_heads,
    separate_heads,
    some_rows,
    stack_rows,
    transpose,
)
from santa_lsp.families.architecture import Architecture
from santa_lsp.families.family import Layout


def to_canonical(
    tensors: Mapping[str, Tensor],
    layout: Layout,
    architecture: Architecture,
    buffers: tuple[str, ...] = (),
) -> dict[str, Tensor]:
    """Every tensor of the architecture, still in the file.

    Names may lack their first part, as they do in files of a model without its head. Tensors whose
    names end in one of `buffers` are left out. Raises ConvertError when one is missing, left over
    or of another shape.
    """
    left = {name: tensor for name, tensor in tensors.items() if not name.endswith(buffers)}
    found = {}
    for canonical, parts in layout.tensors(architecture).items():
        taken = [_take(left, name, shape) for name, shape in parts]
        found[canonical] = _join(canonical, taken, layout, architecture)
    if left:
        raise ConvertError(f"the checkpoint has a tensor {min(left)!r}, which is not supported")
    return found


def from_canonical(
    tensors: Mapping[str, Tensor], layout: Layout, architecture: Architecture
) -> dict[str, Tensor]:
    """Canonical tensors under the names, and in the order of rows, of a layout like GGUF's."""
    found: dict[str, Tensor] = {}
    heads = (architecture.n_head, architecture.n_kv_head, None)
    for canonical, parts in layout.tensors(architecture).items():
        if len(parts) == 1:
            found[parts[0][0]] = tensors[canonical]
            continue
        start = 0
        for (name, shape), n_head in zip(parts, heads, strict=False):
            part = some_rows(tensors[canonical], start, start + shape[0])
            found[name] = pair_heads(part, n_head) if layout.interleaved and n_head else part
            start += shape[0]
    return found


def is_tied(tensors: Mapping[str, Tensor], layout: Layout, said: bool | None) -> bool:
    """Whether the head is the embedding, when the configuration says so, does not, or is silent.

    A head that was saved beside the same embedding is a tied one.
    """
    (embedding,), (head,) = layout.modules("wte"), layout.modules("lm_head")
    wte = _find(tensors, f"{embedding}.weight")
    lm_head = _find(tensors, f"{head}.weight")
    if said or wte is None:
        return True
    if lm_head is None:
        return said is None
    return _digest(tensors[wte]) == _digest(tensors[lm_head])


def _digest(tensor: Tensor) -> bytes:
    """To compare large tensors with one in memory at a time."""
    return hashlib.blake2b(tensor.read().data).digest()


def without_head(tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """The tensors but the head, which a tied model may have saved."""
    (head,) = layout.modules("lm_head")
    return {name: tensor for name, tensor in tensors.items() if name != f"{head}.weight"}


def _find(tensors: Mapping[str, Tensor], name: str) -> str | None:
    for candidate in (name, name.partition(".")[2]):
        if candidate in tensors:
            return candidate
    return None


def _take(tensors: dict[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
    """The tensor, which is removed from `tensors`."""
    found = _find(tensors, name)
    if found is None:
        raise ConvertError(f"the checkpoint has no tensor {name!r}")
    tensor = tensors.pop(found)
    if tensor.shape != shape:
        raise ConvertError(
            f"{found} has the shape {list(tensor.shape)}; the checkpoint's configuration asks for "
            f"{list(shape)}"
        )
    return tensor


def _join(
    canonical: str, parts: list[Tensor], layout: Layout, architecture: Architecture
) -> Tensor:
    """One tensor of several, its rows in canonical order."""
    if layout.transposed and canonical.startswith("h."):
        parts = [transpose(part) for part in parts]
    if ".attn.c_attn." in canonical:
        if layout.rows_by_head:
            parts = [separate_heads(part, architecture.n_head) for part in parts]
        if layout.interleaved:
            q, k, v = parts
            heads = architecture.n_head, architecture.n_kv_head
            parts = [halve_heads(q, heads[0]), halve_heads(k, heads[1]), v]
    return parts[0] if len(parts) == 1 else stack_rows(parts)
