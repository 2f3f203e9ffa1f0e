"""What a model family is: its names in files, its configuration, its table of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from santa_lsp.families.architecture import Architecture

Config = Mapping[str, Any]
#: Canonical module names (see architecture) -> those of a file; `{}` is the number of the layer.
#: `attn.c_attn` may be several modules: q, k and v, or q and k | v.
Names = Mapping[str, str | tuple[str, ...]]
Shapes = Mapping[str, tuple[int, ...]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file names and orders the tensors of a model."""

    names: Names
    transposed: bool = False  # matrices are [in, out], as GPT-2's Conv1D has them
    rows_by_head: bool = False  # `attn.c_attn` has q, k, v of the first head, then of the next
    interleaved: bool = False  # rows of q and k that turn together are neighbours (llama.cpp)

    def modules(self, canonical: str) -> tuple[str, ...]:
        """The file's modules for a canonical one, such as `h.3.ln_1`."""
        layer = canonical.split(".")[1] if canonical.startswith("h.") else ""
        pattern = canonical.replace(f"h.{layer}.", "h.{}.", 1) if layer else canonical
        found = self.names[pattern]
        modules = (found,) if isinstance(found, str) else found
        return tuple(module.format(layer) for module in modules)

    def tensors(self, architecture: Architecture) -> dict[str, list[tuple[str, tuple[int, ...]]]]:
        """For each canonical tensor, its parts in the file: name and shape, in order of rows."""
        found = {}
        for canonical, shape in architecture.tensor_shapes().items():
            module, _, kind = canonical.rpartition(".")
            names = self.modules(module)
            rows = _rows(architecture, len(names)) if len(names) > 1 else (shape[0],)
            shapes = [(count, *shape[1:]) for count in rows]
            if self.transposed and module.startswith("h.") and len(shape) == 2:
                shapes = [each[::-1] for each in shapes]
            found[canonical] = [
                (f"{name}.{kind}", each) for name, each in zip(names, shapes, strict=True)
            ]
        return found


def _rows(architecture: Architecture, parts: int) -> tuple[int, ...]:
    q, k, v = architecture.qkv_rows
    return (q, k, v) if parts == 3 else (q, k + v)


@dataclass(frozen=True, slots=True)
class Family:
    """One family; `families/NAME.py` has each.

    `read_config` makes an Architecture of a Hugging Face `config.json` and `write_config` a
    `config.json` of an Architecture. `gguf` says which model_type a GGUF file's
    general.architecture is. `layout` looks at the shapes of a file's tensors where the family has
    several layouts. `buffers` ends the names of tensors that hold no weights.
    """

    name: str
    model_types: tuple[str, ...]
    read_config: Callable[[Config], Architecture]
    write_config: Callable[[Architecture], dict[str, Any]]
    names: Names
    gguf: Mapping[str, str]
    gguf_layout: Layout
    choose_layout: Callable[[Shapes, Architecture], Layout] | None = None
    buffers: tuple[str, ...] = ("rotary_emb.inv_freq",)
    metadata: Mapping[str, str] = field(default_factory=dict)  # for santa_lsp.families.forms

    def publish(
        self,
        tensors: Mapping[str, T],
        architecture: Architecture,
        split: Callable[[T, list[int]], Sequence[T]],
    ) -> dict[str, T]:
        """Canonical tensors, all or some, under the names of a published checkpoint.

        `split` cuts rows into parts of these sizes, as torch.split does. The configuration beside
        them is that of `write_config`.
        """
        layout = Layout(self.names).tensors(architecture)
        found: dict[str, T] = {}
        for canonical, tensor in tensors.items():
            parts = layout[canonical]
            rows = [shape[0] for _, shape in parts]
            pieces = split(tensor, rows) if len(rows) > 1 else [tensor]
            found |= {name: piece for (name, _), piece in zip(parts, pieces, strict=True)}
        return found

    def layout(self, shapes: Shapes, architecture: Architecture) -> Layout:
        """Of a checkpoint with tensors of these names and shapes. Raises FamilyError."""
        if self.choose_layout is None:
            return Layout(self.names)
        return self.choose_layout(shapes, architecture)
