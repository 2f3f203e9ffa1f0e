"""The licence that a project's archive states, and whether the manifest agrees.

It is read from a wheel's METADATA, an npm package's package.json, licence files near the top, and,
without these, the headers of the source files.
"""

from __future__ import annotations

import dataclasses
import email.parser
import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from .licences import HEADER_CHARACTERS, is_permissive, terms

LICENCE_FILES = ("license", "licence", "copying", "notice", "copyright", "unlicense")
MIN_HEADER_SHARE = 0.5  # of the source files, for their headers to speak for the project
_NO_TEXT = {".class", ".java", ".js", ".json", ".png", ".py", ".svg", ".xml"}
_CLASSIFIER = "License :: "

# Each phrase is the licence's own wording, in lower case and with single spaces; of licences that
# share a phrase the first that fits is meant.
_PHRASES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("AGPL", ("gnu affero general public license",)),
    ("LGPL", ("gnu lesser general public license",)),
    ("LGPL", ("gnu library general public license",)),
    ("GPL", ("gnu general public license",)),
    ("MPL", ("mozilla public license",)),
    ("EPL", ("eclipse public license",)),
    ("CDDL", ("common development and distribution license",)),
    ("Apache-2.0", ("apache license", "version 2.0")),
    ("Apache-2.0", ("www.apache.org/licenses/license-2.0",)),
    ("MIT", ("hereby granted, free of charge, to any person obtaining a copy of", "shall be incl")),
    ("MIT-0", ("hereby granted, free of charge, to any person obtaining a copy of",)),
    ("BSD-3-Clause", ("redistribution and use in source and binary forms", "endorse or promote")),
    ("BSD-2-Clause", ("redistribution and use in source and binary forms",)),
    ("NCSA", ("university of illinois/ncsa open source license",)),
    ("ISC", ("or without fee is hereby granted, provided that the above copyright",)),
    ("0BSD", ("or without fee is hereby granted.",)),
    ("MIT-CMU", ("without fee is hereby granted, provided that the above", "advertising")),
    ("PSF-2.0", ("python software foundation license version 2",)),
    ("PSF-2.0", ("the python software foundation (\"psf\")",)),
    ("Unlicense", ("free and unencumbered software released into the public domain",)),
    ("Zlib", ("the origin of this software must not be misrepresented",)),
    ("CC0-1.0", ("cc0 1.0 universal",)),
    ("BSL-1.0", ("boost software license - version 1.0",)),
    ("BlueOak-1.0.0", ("blue oak model license",)),
    ("Unicode-3.0", ("unicode license v3",)),
)  # fmt: skip

# Informal names of licences; a name can mean several.
_NAMES: tuple[tuple[str, frozenset[str]], ...] = (
    (r"apache", frozenset({"Apache-2.0"})),
    (r"\bmit\b|expat", frozenset({"MIT"})),
    (r"\b0bsd\b|zero.clause", frozenset({"0BSD"})),
    (r"bsd.*\b3|\b3.*bsd|(?:new|modified|revised).bsd", frozenset({"BSD-3-Clause"})),
    (r"bsd.*\b2|\b2.*bsd|simplified.bsd|freebsd", frozenset({"BSD-2-Clause"})),
    (r"\bbsd\b", frozenset({"BSD-2-Clause", "BSD-3-Clause"})),
    (r"\bisc\b|iscl", frozenset({"ISC"})),
    (r"\bpsf|python software foundation", frozenset({"PSF-2.0"})),
    (r"unlicense", frozenset({"Unlicense"})),
    (r"zlib", frozenset({"Zlib"})),
    (r"\bcc0", frozenset({"CC0-1.0"})),
    (r"boost", frozenset({"BSL-1.0"})),
    (r"\bncsa\b", frozenset({"NCSA"})),
    (r"\bhpnd\b|historical permission", frozenset({"HPND"})),
)


def is_evidence(path: str) -> bool:
    """Whether a file may tell its project's licence, by its name."""
    file = PurePosixPath(path)
    if file.name in ("METADATA", "package.json"):
        return True
    return file.name.lower().startswith(LICENCE_FILES) and file.suffix.lower() not in _NO_TEXT


def recognise(text: str) -> frozenset[str]:
    """The licences whose wording is in a text: SPDX identifiers, copyleft ones by family."""
    flat = re.sub(r"[\s*#/]+", " ", text.lower().replace("//", " "))
    found: dict[str, str] = {}
    for licence, phrases in _PHRASES:
        if all(_flat(phrase) in flat for phrase in phrases):
            found.setdefault(phrases[0], licence)
    return frozenset(found.values())


def names(name: str) -> frozenset[str]:
    """The licences that a short, informal name may mean."""
    for pattern, licences in _NAMES:
        if re.search(pattern, name.lower()):
            return licences
    return frozenset()


@dataclasses.dataclass(slots=True)
class Evidence:
    """The evidence in one archive."""

    declared: set[str] = dataclasses.field(default_factory=set)  # SPDX expressions
    found: dict[str, frozenset[str]] = dataclasses.field(default_factory=dict)  # by where
    texts: dict[str, str] = dataclasses.field(default_factory=dict)  # licence files, by path

    def read(self, path: str, content: bytes) -> None:
        """Take in a metadata or licence file of the project; other files are passed over."""
        file = PurePosixPath(path)
        text = content.decode("utf-8", "replace")
        if file.name == "METADATA":
            if len(file.parts) == 2 and file.parts[0].endswith(".dist-info"):
                self._read_metadata(text)
        elif file.name == "package.json":
            if len(file.parts) == 1:
                self._read_package(text)
        elif len(file.parts) < 3 or file.parts[0].endswith(".dist-info"):
            self.found[path] = recognise(text)
            self.texts[path] = text

    def read_headers(self, texts: Iterable[str]) -> None:
        """Take in the licences that at least `MIN_HEADER_SHARE` of the source files begin with."""
        counts: Counter[str] = Counter()
        n_texts = 0
        for text in texts:
            n_texts += 1
            counts.update(recognise(text[:HEADER_CHARACTERS]))
        common = {name for name, count in counts.items() if count >= MIN_HEADER_SHARE * n_texts}
        self.found["headers"] = frozenset(common)

    def contradicts(self, expression: str) -> str | None:
        """Why the manifest's SPDX expression cannot stand, or None if the archive supports it."""
        for declared in sorted(self.declared):
            if terms(declared) != terms(expression):
                return f"the manifest says {expression}, the package {declared}"
        if self.declared:
            return None
        supported = frozenset().union(*self.found.values())
        choices = [
            set(choice) for choice in terms(expression) if is_permissive(" AND ".join(choice))
        ]
        if any(choice <= supported for choice in choices):
            return None
        return f"the manifest says {expression}, the package {self.summary() or 'nothing'}"

    def summary(self) -> str:
        """The evidence in one line."""
        found = [
            f"{where}: {' or '.join(sorted(licences))}"
            for where, licences in self.found.items()
            if licences
        ]
        return "; ".join([*sorted(self.declared), *found])

    def suggestion(self) -> str | None:
        """The one SPDX expression that a manifest line may state, if there is one."""
        candidates = self.declared or frozenset().union(*self.found.values())
        if len(candidates) != 1:
            return None
        only = next(iter(candidates))
        return only[1:-1] if only.startswith("(") and only.find(")") == len(only) - 1 else only

    def _read_metadata(self, text: str) -> None:
        fields = email.parser.HeaderParser().parsestr(text)
        for name in ("License-Expression", "License"):
            self._declare(name, str(fields.get(name, "")))
        for classifier in fields.get_all("Classifier", []):
            if classifier.startswith(_CLASSIFIER):
                self.found[classifier] = names(classifier.removeprefix(_CLASSIFIER))

    def _read_package(self, text: str) -> None:
        try:
            package = json.loads(text)
        except ValueError:
            return
        if not isinstance(package, dict):
            return
        stated = package.get("license") or package.get("licenses") or ""
        for entry in stated if isinstance(stated, list) else [stated]:
            name = entry.get("type", "") if isinstance(entry, dict) else entry
            self._declare("license", str(name))

    def _declare(self, where: str, stated: str) -> None:
        """An SPDX expression, an informal name, or a whole licence text."""
        try:
            self.declared.add(str(canonicalize_license_expression(stated)))
        except InvalidLicenseExpression:
            self.found[where] = recognise(stated) if len(stated) > 200 else names(stated)


def _flat(phrase: str) -> str:
    return re.sub(r"[\s*#/]+", " ", phrase)
