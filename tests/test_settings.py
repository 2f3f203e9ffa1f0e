from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from santa_lsp import settings
from santa_lsp.settings import Settings, SettingsError


def test_camel_case_options_are_taken() -> None:
    found, problems = settings.parse({"maxNewTokens": 12, "exclude": ["*.txt"], "debounceMs": 40})
    assert problems == []
    assert (found.max_new_tokens, found.exclude, found.debounce_ms) == (12, ("*.txt",), 40)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("model", ""),
        ("device", "tpu"),
        ("computeType", "int3"),
        ("threads", -1),
        ("threads", True),
        ("debounceMs", "soon"),
        ("debounceMs", 5001),
        ("latencyBudgetMs", 49),
        ("maxNewTokens", 0),
        ("maxNewTokens", "64"),
        ("multiline", True),
        ("minConfidence", 1.5),
        ("minConfidence", float("nan")),
        ("languages", "python"),
        ("languages", [1]),
        ("exclude", "*.txt"),
        ("exclude", [1]),
        ("streaming", "yes"),
        ("logLevel", "loud"),
    ],
)
def test_a_bad_value_is_named_and_the_default_used(option: str, value: object) -> None:
    found, problems = settings.parse({option: value})
    assert found == Settings()
    assert len(problems) == 1
    assert repr(option) in problems[0]
    assert "is used" in problems[0]


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("device", "tpu", "one of auto, cpu, cuda"),
        ("threads", -1, "a whole number from 0 to 256"),
        ("minConfidence", 2, "a number from 0 to 1"),
        ("debounceMs", "soon", '"auto" or a whole number from 0 to 5000'),
        ("languages", "python", '"auto" or a list of strings'),
        ("streaming", "yes", "true or false"),
        ("exclude", 1, "a list of strings"),
        ("model", "", "a text that is not empty"),
    ],
)
def test_the_message_says_what_a_value_must_be(option: str, value: object, words: str) -> None:
    (problem,) = settings.parse({option: value})[1]
    assert f"{option!r} must be {words}, not {value!r}" in problem


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("debounceMs", "auto"),
        ("debounceMs", 0),
        ("minConfidence", 0),
        ("minConfidence", 1.0),
        ("threads", 256),
        ("languages", "auto"),
        ("languages", ["*"]),
        ("exclude", []),
        ("streaming", False),
        ("computeType", "int8"),
    ],
)
def test_a_value_that_meets_its_schema_is_taken(option: str, value: object) -> None:
    found, problems = settings.parse({option: value})
    assert problems == []
    taken = getattr(found, settings.options()[option].name)
    assert (list(taken) if isinstance(taken, tuple) else taken) == value


def test_every_default_meets_its_own_schema() -> None:
    defaults = {
        option: list(field.default) if isinstance(field.default, tuple) else field.default
        for option, field in settings.options().items()
    }
    assert settings.parse(defaults) == (Settings(), [])


def test_null_is_unset() -> None:
    base = Settings(threads=3)
    unset = dict.fromkeys(settings.options())
    assert settings.parse(unset, base) == (base, [])


def test_the_name_of_the_release_before_still_works() -> None:
    found, problems = settings.parse({"anchorMemoryMb": 64})
    assert (found.prefix_cache_memory_mb, problems) == (64, [])
    _, problems = settings.parse({"anchorMemoryMb": -1})
    assert "'anchorMemoryMb'" in problems[0]  # as the user has written it


def test_an_unknown_option_is_named_with_the_nearest_known_one() -> None:
    found, problems = settings.parse({"maxNewToken": 5})
    assert found == Settings()
    assert problems == ["unknown setting 'maxNewToken' is ignored; did you mean 'maxNewTokens'?"]


def test_one_bad_value_does_not_spoil_the_others() -> None:
    found, problems = settings.parse({"threads": "two", "model": "mine"})
    assert found.model == "mine"
    assert len(problems) == 1


def test_options_go_over_a_base() -> None:
    base = Settings(model="mine", threads=3)
    found, _ = settings.parse({"threads": 1}, base)
    assert found == dataclasses.replace(base, threads=1)


def test_settings_that_are_no_object_are_refused() -> None:
    assert settings.parse([1])[0] == Settings()
    assert "must be an object" in settings.parse([1])[1][0]
    assert settings.parse(None) == (Settings(), [])


def test_every_setting_is_checked() -> None:
    for field in dataclasses.fields(Settings):
        _, problems = settings.parse({settings.camel_case(field.name): object()})
        assert len(problems) == 1, field.name


def test_a_toml_file_has_the_same_names(tmp_path: Path) -> None:
    file = tmp_path / "santa.toml"
    file.write_text('multiline = "never"\nminConfidence = 0.5\n')
    found, problems = settings.read_file(file)
    assert (found.multiline, found.min_confidence, problems) == ("never", 0.5, [])


def test_a_bad_settings_file_says_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "santa.toml"
    with pytest.raises(SettingsError, match="cannot be read"):
        settings.read_file(file)
    file.write_text("multiline =")
    with pytest.raises(SettingsError, match="is not TOML"):
        settings.read_file(file)


def test_ways_to_compute_a_model_are_told_apart() -> None:
    keys = [
        Settings(**values).speed_key  # type: ignore[arg-type]
        for values in ({}, {"device": "cpu"}, {"compute_type": "float32"}, {"max_new_tokens": 3})
    ]
    assert keys[0] == keys[3]
    assert len(set(keys)) == 3


def test_only_what_concerns_the_model_reloads_it() -> None:
    assert Settings().needs_reload(Settings(model="other"))
    assert not Settings().needs_reload(Settings(max_new_tokens=3, log_level="debug"))
