"""The manifest's licences against what the archives themselves say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.corpus import licences
from model.corpus.__main__ import main
from model.corpus.evidence import Evidence, recognise
from tests.support.registry import APACHE, Registry, java_source, js_source, python_source

MIT = """\
The MIT License. Permission is hereby granted, free of charge, to any person obtaining a copy
of this software, to deal in the Software without restriction, provided that the above
copyright notice and this permission notice shall be included in all copies.
"""
BSD_2 = "Redistribution and use in source and binary forms, with or without modification, are ok"
BSD_3 = BSD_2 + "\nNames of contributors may not be used to endorse or\n * promote products.\n"
ISC = """\
Permission to use, copy, modify, and/or distribute this software for any purpose with
or without fee is hereby granted, provided that the above copyright notice appears."""


@pytest.mark.parametrize(
    ("text", "licences"),
    [
        (APACHE, {"Apache-2.0"}),
        ("// Licensed under http://www.apache.org/licenses/LICENSE-2.0\n", {"Apache-2.0"}),
        (MIT, {"MIT"}),
        ("/*\n * " + MIT.replace("\n", "\n * ") + "*/", {"MIT"}),
        (MIT.replace("shall be included", "are nowhere asked for"), {"MIT-0"}),
        (BSD_2, {"BSD-2-Clause"}),
        (BSD_3, {"BSD-3-Clause"}),
        (ISC, {"ISC"}),
        (ISC.replace(", provided that", ". Not even"), {"0BSD"}),
        ("GNU GENERAL PUBLIC LICENSE\n   Version 3", {"GPL"}),
        (MIT + BSD_3, {"MIT", "BSD-3-Clause"}),
        ("All rights reserved.", set()),
    ],
)
def test_licences_are_recognised_by_their_wording(text: str, licences: set[str]) -> None:
    assert recognise(text) == licences


def problem(registry: Registry) -> str | None:
    """Build; the one problem found, or None if all documents were kept."""
    assert registry.build() == 0
    problems = registry.table["licence_problems"]
    assert ("it", "it.py") not in registry.documents or not problems
    return next(iter(problems.values()), None)


SOURCE = {"it.py": python_source("it")}


@pytest.fixture
def other(registry: Registry) -> Registry:
    """A registry with a project that is always right, so that there is a corpus."""
    registry.pypi("right", {"right.py": python_source("right")})
    return registry


@pytest.mark.parametrize(
    ("licence", "metadata"),
    [
        ("MIT", "License-Expression: MIT\n"),
        ("MIT OR Apache-2.0", "License-Expression: Apache-2.0 OR MIT\n"),
        ("MIT", "License: MIT License\n"),
        ("BSD-3-Clause", "License: BSD\n"),
        ("Apache-2.0", "Classifier: License :: OSI Approved :: Apache Software License\n"),
        ("BSD-2-Clause", "License: BSD-2-Clause\nClassifier: License :: OSI Approved :: MIT\n"),
    ],
)
def test_a_wheel_that_agrees_is_kept(other: Registry, licence: str, metadata: str) -> None:
    other.pypi("it", SOURCE, licence, metadata)
    assert problem(other) is None
    assert ("it", "it.py") in other.documents


@pytest.mark.parametrize(
    ("licence", "metadata"),
    [
        ("MIT", "License-Expression: Apache-2.0\n"),
        ("MIT", "License-Expression: MIT AND GPL-3.0-only\n"),
        ("MIT", "License: GPLv3\n"),
        ("MIT", "Classifier: License :: OSI Approved :: BSD License\n"),
        ("MIT", "Summary: says nothing\n"),
        ("Apache-2.0 AND MIT", "License: MIT License\n"),
    ],
)
def test_a_wheel_that_disagrees_is_left_out_by_name(
    other: Registry, licence: str, metadata: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other.pypi("it", SOURCE, licence, metadata)
    found = problem(other)
    assert found is not None
    assert found.startswith(f"the manifest says {licence}, the package ")
    assert other.table["removed"]["licence not confirmed"] == 1
    assert f"left out, licence not confirmed: it: {found}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("package", "agrees"),
    [
        ({"license": "ISC"}, True),
        ({"license": {"type": "ISC", "url": "somewhere"}}, True),
        ({"licenses": [{"type": "ISC"}]}, True),
        ({"license": "(ISC OR GPL-2.0-only)"}, False),
        ({"license": "UNLICENSED"}, False),
        ({"name": "it"}, False),
    ],
)
def test_npm_packages(other: Registry, package: object, agrees: bool) -> None:
    other.npm("it", {"it.js": js_source("it")}, "ISC", package=package)
    assert (problem(other) is None) == agrees


def test_only_the_projects_own_metadata_count(other: Registry) -> None:
    files = {"it.js": js_source("it"), "lib/part/package.json": '{"license": "GPL-3.0-only"}'}
    other.npm("it", files, "ISC")
    assert problem(other) is None


def test_a_licence_file_near_the_top_speaks_for_a_source_package(other: Registry) -> None:
    other.debian("it", {"It.java": java_source("It")}, "MIT", MIT)
    assert problem(other) is None
    other.debian("wrong", {"deep/in/the/tree/LICENSE": MIT}, "MIT", APACHE)
    assert "LICENSE.txt: Apache-2.0" in (problem(other) or "")


def test_headers_speak_where_nothing_else_does(other: Registry) -> None:
    header = "/* " + MIT + "*/\n"
    names = [f"name{number}" for number in range(4)]
    files = {f"{name}.java": header + java_source(name) for name in names}
    other.debian("it", files, "MIT", text="none")
    assert problem(other) is None


def test_headers_of_a_few_files_do_not_speak_for_the_project(other: Registry) -> None:
    names = [f"name{number}" for number in range(5)]
    files = {f"{name}.java": java_source(name) for name in names}
    files |= {f"{name}m.java": f"/* {MIT} */\n" + java_source(name + "m") for name in names[:4]}
    other.debian("it", files, "MIT", text="none")
    assert "the package nothing" in (problem(other) or "")


def test_the_evidence_is_in_the_table(other: Registry) -> None:
    other.debian("it", {"It.java": java_source("It")})
    assert problem(other) is None
    rows = {row["package"]: row["licence_evidence"] for row in other.table["packages"]}
    assert rows == {"right": "MIT", "it": "LICENSE.txt: Apache-2.0"}


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"license": 7}', b'{"license": [{}, null]}'])
def test_a_damaged_package_json_is_no_evidence(content: bytes) -> None:
    evidence = Evidence()
    evidence.read("package.json", content)
    assert evidence.contradicts("MIT") == "the manifest says MIT, the package nothing"


def test_pin_leaves_an_unclear_licence_to_a_person(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.debian("it", {"It.java": java_source("It")}, "MIT", MIT + BSD_3)
    (registry.root / "it=1:3.0-1").rename(registry.root / "it")
    assert main(["pin", "debian", "it"]) == 0
    captured = capsys.readouterr()
    assert 'licence="?"' in captured.out
    assert "licence found: LICENSE.txt: BSD-3-Clause or MIT" in captured.err


def test_own_code_needs_no_licence(registry: Registry, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "it.py").write_text(python_source("it"))
    (folder / "package.json").write_text(json.dumps({"license": "UNLICENSED"}))
    assert registry.build("--from-dir", str(folder)) == 0
    assert ("mine", "it.py") in registry.documents


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("/*\n * Licensed to the ASF\n */\npackage a;\n", "package a;\n"),
        ('# Copyright 2020 A\n# MIT License\n\n"""Doc."""\n', '"""Doc."""\n'),
        ("// Copyright A\n\n/* License: MIT */\nlet a\n", "let a\n"),
        ("// Adds numbers.\nlet a\n", "// Adds numbers.\nlet a\n"),
        ("#!/bin/sh\n# Copyright A\nx\n", "#!/bin/sh\n# Copyright A\nx\n"),
        ("def licence():\n    pass\n", "def licence():\n    pass\n"),
        ("x = 1\n# Copyright A\n", "x = 1\n# Copyright A\n"),
        ("", ""),
    ],
)
def test_headers_about_licences_are_not_learnt(text: str, kept: str) -> None:
    assert licences.without_header(text) == kept
