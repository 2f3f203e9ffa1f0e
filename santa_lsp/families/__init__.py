"""Model families: which there are, which one a model is of, how their prompts are written.

Pure: strings, numbers and ids in and out. It must not know how a model is computed, where it is
stored, or that there is an editor.
To add one, write `families/NAME.py` with a FAMILY and add NAME to `_MODULES`.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from santa_lsp.families.architecture import Architecture
    from santa_lsp.families.family import Config, Family

_MODULES = ("gpt_bigcode", "llama", "qwen2", "starcoder2")


@cache
def families() -> tuple[Family, ...]:
    """All of them. Imported late: serving a converted model needs none."""
    modules = (importlib.import_module(f"{__name__}.{name}") for name in _MODULES)
    return tuple(module.FAMILY for module in modules)


def family_of(config: Config) -> Family:
    """The family of a Hugging Face configuration (see gguf.config_of for GGUF).

    Raises FamilyError, which names the reason and what to do, for a model of no family and for
    what CTranslate2 does not have.
    """
    from santa_lsp.families.architecture import FamilyError
    from santa_lsp.families.config import not_held, refuse_what_is_not_held

    refuse_what_is_not_held(config)
    kind = config.get("model_type")
    if not isinstance(kind, str):
        raise FamilyError("the checkpoint's configuration has no model_type")
    for family in families():
        if kind in family.model_types:
            return family
    known = ", ".join(name for family in families() for name in family.model_types)
    raise not_held(f"model_type {kind!r} is another architecture than {known}")


def read_architecture(config: Config) -> tuple[Family, Architecture]:
    """The family of a configuration, and what it describes. Raises FamilyError."""
    from santa_lsp.families.architecture import FamilyError

    try:
        family = family_of(config)
        return family, family.read_config(config)
    except FamilyError:
        raise
    except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise FamilyError(f"the checkpoint's configuration is damaged ({error})") from error


def gguf_model_type(architecture: str) -> str:
    """The model_type of a GGUF file's `general.architecture`. Raises FamilyError."""
    from santa_lsp.families.config import not_held, refuse_what_is_not_held

    for family in families():
        if architecture in family.gguf:
            return family.gguf[architecture]
    refuse_what_is_not_held({"model_type": architecture})
    known = ", ".join(name for family in families() for name in family.gguf)
    raise not_held(f"the GGUF file's architecture {architecture!r} is another than {known}")


def family_named(name: str) -> Family:
    """By the name that a model's card gives. Raises FamilyError."""
    from santa_lsp.families.architecture import FamilyError

    for family in families():
        if family.name == name:
            return family
    raise FamilyError(f"there is no family {name!r}")
