"""The user's settings: fully defaulted, the same names in editor options and a TOML file.

A bad value never stops the server: it is reported by name, and the default is used.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from santa_lsp.completion.completer import CompleterConfig
from santa_lsp.models import EMBEDDED

#: Files whose contents are secrets or that nobody wants completed.
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


class SettingsError(Exception):
    """A settings file that cannot be read; says what to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting with its default; the option's name is the camelCase of the field's."""

    model: str = EMBEDDED
    device: str = "auto"
    compute_type: str = "default"
    threads: int = 0
    anchor_memory_mb: int = 512
    latency_budget_ms: int = 400
    debounce_ms: str | int = "auto"
    max_new_tokens: int = 64
    multiline: str = "auto"
    min_confidence: float = 0.4
    candidates: int = 1
    exclude: tuple[str, ...] = EXCLUDED
    fallback_completion: bool = True
    streaming: bool = True
    log_level: str = "warning"

    def completer_config(self) -> CompleterConfig:
        return CompleterConfig(
            max_new_tokens=self.max_new_tokens,
            latency_budget_ms=self.latency_budget_ms,
            multiline=self.multiline,  # type: ignore[arg-type]  # checked by `parse`
            min_confidence=self.min_confidence,
            exclude=self.exclude,
            candidates=self.candidates,
        )

    @property
    def how(self) -> str:
        """The way to compute a model, for what is remembered of its speed."""
        usual = (self.device, self.compute_type) == ("auto", "default")
        return "" if usual else f"{self.device} {self.compute_type}"

    def needs_reload(self, other: Settings) -> bool:
        """Whether the model must be loaded anew to go from these settings to the other ones."""
        names = ("model", "device", "compute_type", "threads", "anchor_memory_mb")
        return any(getattr(self, name) != getattr(other, name) for name in names)


@dataclass(frozen=True, slots=True)
class _Check:
    """What a value must be, in words, and the test for it."""

    wanted: str
    accepts: Callable[[Any], bool]


def _one_of(*values: str) -> _Check:
    return _Check("one of " + ", ".join(values), lambda value: value in values)


def _integer(least: int, most: int) -> _Check:
    def accepts(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

    return _Check(f"a whole number from {least} to {most}", accepts)


_NUMBER_0_1 = _Check(
    "a number from 0 to 1",
    lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    ),
)
_DEBOUNCE = _integer(0, 5000)
_CHECKS: dict[str, _Check] = {
    "model": _Check(
        "a model's name or folder", lambda value: isinstance(value, str) and value != ""
    ),
    "device": _one_of("auto", "cpu", "cuda"),
    "compute_type": _one_of(
        "default", "auto", "int8", "int8_float32", "int8_float16", "float16", "bfloat16", "float32"
    ),
    "threads": _integer(0, 256),
    "anchor_memory_mb": _integer(0, 1_000_000),
    "latency_budget_ms": _integer(50, 60_000),
    "debounce_ms": _Check(
        f'"auto" or {_DEBOUNCE.wanted}', lambda value: value == "auto" or _DEBOUNCE.accepts(value)
    ),
    "max_new_tokens": _integer(1, 1024),
    "multiline": _one_of("auto", "always", "never"),
    "min_confidence": _NUMBER_0_1,
    "candidates": _integer(1, 8),
    "exclude": _Check(
        "a list of globs",
        lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
    ),
    "fallback_completion": _Check("true or false", lambda value: isinstance(value, bool)),
    "streaming": _Check("true or false", lambda value: isinstance(value, bool)),
    "log_level": _one_of("error", "warning", "info", "debug"),
}


def camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


_FIELDS = {camel_case(field.name): field.name for field in dataclasses.fields(Settings)}


def parse(options: object, base: Settings | None = None) -> tuple[Settings, list[str]]:
    """Settings from camelCase options over `base`, and one message for each option not used."""
    base = base or Settings()
    if options is None:
        return base, []
    if not isinstance(options, Mapping):
        return base, [
            f"settings must be an object, not {type(options).__name__}; defaults are used"
        ]
    problems: list[str] = []
    values: dict[str, Any] = {}
    for option, value in options.items():
        name = _FIELDS.get(option)
        if name is None:
            near = difflib.get_close_matches(str(option), _FIELDS, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            problems.append(f"unknown setting {option!r} is ignored{hint}")
        elif not _CHECKS[name].accepts(value):
            default = getattr(base, name)
            problems.append(
                f"setting {option!r} must be {_CHECKS[name].wanted}, not {value!r}; "
                f"{default!r} is used"
            )
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    return dataclasses.replace(base, **values), problems


def read_file(path: Path) -> tuple[Settings, list[str]]:
    """Settings of a TOML file. Raises SettingsError when it is missing or not TOML."""
    try:
        return parse(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file {path} is not TOML: {error}") from error
