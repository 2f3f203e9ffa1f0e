"""What the project promises outside its code: workflows, changelog, hooks, metadata."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from santa_lsp import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Runners of the operating systems that pyproject's classifiers name.
RUNNERS = {
    "MacOS": "macos-latest",
    "Microsoft :: Windows": "windows-latest",
    "POSIX :: Linux": "ubuntu-latest",
}


def load(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def classified(prefix: str) -> list[str]:
    """The rest of each classifier that begins so."""
    return [c.removeprefix(prefix) for c in PROJECT["classifiers"] if c.startswith(prefix)]


@pytest.mark.parametrize("name", ["ci", "release"])
def test_a_workflow_asks_for_little_and_ends(name: str) -> None:
    workflow = load(f".github/workflows/{name}.yml")
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["cancel-in-progress"]
    assert workflow["jobs"]
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"]
        for step in job["steps"]:
            assert "run" in step or re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])


def test_the_tests_run_wherever_the_package_says_it_runs() -> None:
    matrix = load(".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert set(matrix["os"]) == {RUNNERS[system] for system in classified("Operating System :: ")}
    versions = [v for v in classified("Programming Language :: Python :: ") if "." in v]
    assert matrix["python"] == versions
    assert PROJECT["requires-python"] == f">={versions[0]}"


def test_every_form_asks_something() -> None:
    for name in ("bug", "feature"):
        form = load(f".github/ISSUE_TEMPLATE/{name}.yml")
        assert form["name"]
        assert form["description"]
        assert any(field.get("validations", {}).get("required") for field in form["body"])
    assert "santa-lsp doctor --json" in str(load(".github/ISSUE_TEMPLATE/bug.yml"))
    assert load(".github/ISSUE_TEMPLATE/config.yml")["contact_links"]


def test_the_changelog_has_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = re.escape(__version__)
    assert re.search(rf"^## \[{version}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE)
    assert re.search(rf"^\[{version}\]: https://", changelog, re.MULTILINE)
    assert "## [Unreleased]\n" in changelog


def test_the_hooks_are_the_tools_of_ci() -> None:
    (local,) = load(".pre-commit-config.yaml")["repos"]
    steps = [
        step.get("run", "") for step in load(".github/workflows/ci.yml")["jobs"]["lint"]["steps"]
    ]
    for hook in local["hooks"]:
        command = hook["entry"].replace(" --force-exclude", "")
        assert any(step.removesuffix(" .") == command for step in steps), hook["id"]
