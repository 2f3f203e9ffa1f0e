"""The user's settings: fully defaulted, the same names in editor options and a TOML file.

A field of `Settings` is a setting: its default, the JSON schema that a value must meet, and its
purpose. `python editors/write_settings.py` writes the README's table and the VS Code extension's
options from it. A bad value never stops the server: it is reported by name, and the default is
used.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from santa_lsp import EMBEDDED

#: Files with secrets, and files that are generated.
EXCLUDED = (
    ".env",
    ".env.*",
    "*.pem",
    "*.key",
    "id_rsa*",
    "*.min.js",
    "*.lock",
    "package-lock.json",
)
COMPUTE_TYPES = (
    "default",
    "auto",
    "int8",
    "int8_float32",
    "int8_float16",
    "float16",
    "bfloat16",
    "float32",
)

Schema = dict[str, Any]


class SettingsError(Exception):
    """A settings file that cannot be read. The message names the remedy."""


def _setting(default: Any, schema: Schema, purpose: str, alias: str = "") -> Any:
    """`alias` is the setting's name in the release before, which still works."""
    return field(default=default, metadata={"schema": schema, "purpose": purpose, "alias": alias})


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def _integer(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


_BOOLEAN: Schema = {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting with its default; the option's name is the camelCase of the field's."""

    model: str = _setting(
        EMBEDDED,
        {"type": "string", "minLength": 1},
        "name of a model (`santa-lsp models list`), or full path of a model's folder",
    )
    device: str = _setting(
        "auto",
        _one_of("auto", "cpu", "cuda"),
        "where the model is computed; `auto` takes a GPU that works, else the CPU",
    )
    compute_type: str = _setting(
        "default",
        _one_of(*COMPUTE_TYPES),
        "number format of the computation; `default` is the one that the model was converted to",
    )
    threads: int = _setting(
        0,
        _integer(0, 256),
        "CPU threads; 0 takes the fastest number, which is measured once for each machine and "
        "model, in idle time",
    )
    prefix_cache_memory_mb: int = _setting(
        512,
        _integer(0, 1_000_000),
        "megabytes for the state of prompts kept from keystroke to keystroke; 0 keeps none",
        alias="anchorMemoryMb",
    )
    latency_budget_ms: int = _setting(
        400,
        _integer(50, 60_000),
        "milliseconds for an answer; they bound the length of prompt and completion by the "
        "measured speed (`santa-lsp doctor` shows both)",
    )
    debounce_ms: str | int = _setting(
        "auto",
        {"type": ["string", "integer"], "pattern": "^auto$", "minimum": 0, "maximum": 5000},
        "milliseconds without a key before an automatic request is computed; `auto` waits, for "
        "150 at most, only if the next key usually comes before the answer",
    )
    max_new_tokens: int = _setting(64, _integer(1, 1024), "tokens of a completion at most")
    multiline: str = _setting(
        "auto",
        _one_of("auto", "always", "never"),
        "whether completions may have several lines; `auto` allows them only on an empty line and "
        "where a block begins",
    )
    min_confidence: float = _setting(
        0.4,
        {"type": "number", "minimum": 0, "maximum": 1},
        "mean token probability from which a completion is shown unasked",
    )
    candidates: int = _setting(
        1,
        _integer(1, 8),
        "completions to choose from when you ask by hand",
    )
    languages: str | tuple[str, ...] = _setting(
        "auto",
        {"type": ["string", "array"], "pattern": "^auto$", "items": {"type": "string"}},
        "languages that are completed unasked, by LSP identifier; `auto` takes those that the "
        'served model knows, `["*"]` all',
    )
    exclude: tuple[str, ...] = _setting(
        EXCLUDED,
        {"type": "array", "items": {"type": "string"}},
        "globs of files that are never completed",
    )
    fallback_completion: bool = _setting(
        True,
        _BOOLEAN,
        "show the completion in the ordinary list, in editors without inline completion",
    )
    streaming: bool = _setting(
        True, _BOOLEAN, "show a long completion piece by piece while it is computed"
    )
    log_level: str = _setting(
        "warning",
        _one_of("error", "warning", "info", "debug"),
        "detail of the server's log on stderr, which never holds your code",
    )

    @property
    def speed_key(self) -> str:
        """The key of measured speeds for this way to compute a model."""
        usual = (self.device, self.compute_type) == ("auto", "default")
        return "" if usual else f"{self.device} {self.compute_type}"

    def needs_reload(self, other: Settings) -> bool:
        """Whether the model must be loaded anew to go from these settings to the other ones."""
        names = ("model", "device", "compute_type", "threads", "prefix_cache_memory_mb")
        return any(getattr(self, name) != getattr(other, name) for name in names)


def camel_case(name: str) -> str:
    """The option of a field's name."""
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def options() -> dict[str, dataclasses.Field[Any]]:
    """The field of each option, in the order of their table."""
    return {camel_case(each.name): each for each in dataclasses.fields(Settings)}


_OPTIONS = options()
_ALIASES = {
    each.metadata["alias"]: option for option, each in _OPTIONS.items() if each.metadata["alias"]
}
_TYPES: dict[str, type] = {"string": str, "integer": int, "boolean": bool, "array": list}


def parse(given: object, base: Settings | None = None) -> tuple[Settings, list[str]]:
    """Settings from camelCase options over `base`, and one message for each option not used."""
    base = base or Settings()
    if given is None:
        return base, []
    if not isinstance(given, Mapping):
        return base, [f"settings must be an object, not {type(given).__name__}; defaults are used"]
    problems: list[str] = []
    values: dict[str, Any] = {}
    for option, value in given.items():
        known = _OPTIONS.get(_ALIASES.get(option) or option)
        if known is None:
            near = difflib.get_close_matches(str(option), _OPTIONS, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            problems.append(f"unknown setting {option!r} is ignored{hint}")
        elif value is None:  # unset
            continue
        elif not _meets(value, known.metadata["schema"]):
            default = getattr(base, known.name)
            problems.append(
                f"setting {option!r} must be {_in_words(known.metadata['schema'])}, not {value!r}; "
                f"{default!r} is used"
            )
        else:
            values[known.name] = tuple(value) if isinstance(value, list) else value
    return dataclasses.replace(base, **values), problems


def read_file(path: Path) -> tuple[Settings, list[str]]:
    """Settings of a TOML file. Raises SettingsError when it is missing or not TOML."""
    try:
        return parse(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file {path} is not TOML: {error}") from error


def _meets(value: Any, schema: Schema) -> bool:
    """Whether a value meets a schema; of JSON Schema, the parts that the settings use."""
    kind = schema["type"]
    if isinstance(kind, list):
        return any(_meets(value, {**schema, "type": each}) for each in kind)
    if isinstance(value, bool) and kind != "boolean":
        return False
    if not isinstance(value, int | float if kind == "number" else _TYPES[kind]):
        return False
    if isinstance(value, str):
        return (
            value in schema.get("enum", [value])
            and len(value) >= schema.get("minLength", 0)
            and re.search(schema.get("pattern", ""), value) is not None
        )
    if isinstance(value, list):
        return all(_meets(item, schema["items"]) for item in value)
    return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))


def _in_words(schema: Schema) -> str:
    """The values that a schema allows, for a message."""
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    if "pattern" in schema and "items" in schema:
        return f'"{schema["pattern"].strip("^$")}" or a list of strings'
    if "pattern" in schema:
        bounds = f"a whole number from {schema['minimum']} to {schema['maximum']}"
        return f'"{schema["pattern"].strip("^$")}" or {bounds}'
    if schema["type"] == "boolean":
        return "true or false"
    if schema["type"] == "array":
        return "a list of strings"
    if schema["type"] == "string":
        return "a text that is not empty"
    whole = "whole " if schema["type"] == "integer" else ""
    return f"a {whole}number from {schema['minimum']} to {schema['maximum']}"
