"""Which licences let code be used for training, by package (SPDX) and by file (its header)."""

from __future__ import annotations

import re

PERMISSIVE = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "BlueOak-1.0.0",
        "CC0-1.0",
        "HPND",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "NCSA",
        "PSF-2.0",
        "PostgreSQL",
        "Python-2.0",
        "Unicode-3.0",
        "Unlicense",
        "Zlib",
    }
)

HEADER_CHARACTERS = 4000  # a header is at the top, and none seen is longer
# One of these is in every text that `_NOT_PERMISSIVE` matches; to look for them first is faster.
_HINTS = (
    "gpl", "gnu", "mozilla", "mpl-", "mpl ", "mpl/", "eclipse", "epl-", "epl ", "cddl", "elastic",
    "common development", "server side", "business source", "commons clause", "commercial",
    "sharealike", "cc-by", "cc by", "proprietary",
)  # fmt: skip
_SPDX_LINE = re.compile(r"SPDX-License-Identifier:\s*([A-Za-z0-9.+\-() ]+)")
_NOT_PERMISSIVE = re.compile(
    r"""
      \b[AL]?GPL(?:\b|v?[-\s]?\d)
    | GNU\s+(?:Lesser\s+|Library\s+|Affero\s+)?(?:General\s+)?Public
    | Mozilla\s+Public\s+Licen[sc]e | \bMPL[-\ /]v?\d
    | Eclipse\s+Public\s+Licen[sc]e | \bEPL[-\ ]v?\d
    | Common\s+Development\s+and\s+Distribution | \bCDDL\b
    | Server\s+Side\s+Public\s+Licen[sc]e | Business\s+Source\s+Licen[sc]e
    | Commons\s+Clause | Elastic\s+Licen[sc]e
    | NonCommercial | non-commercial\s+use | ShareAlike | CC[-\s]BY[-\s](?:NC|SA|ND)
    | proprietary\s+(?:and\s+confidential|licen[sc]e|information|software)
    | confidential\s+(?:and|or)\s+proprietary
    """,
    re.VERBOSE | re.IGNORECASE,
)
_COPYRIGHT = re.compile(
    r"(?:copyright\s*(?:\(c\)|©|\d{4})|\(c\)\s*\d{4}|©\s*\d{4}).*", re.IGNORECASE
)


def is_permissive(expression: str) -> bool:
    """Whether an SPDX expression can be satisfied by permissive licences alone."""
    if " WITH " in expression or (
        "(" in expression and " OR " in expression and " AND " in expression
    ):
        return False  # exceptions and mixed nesting need a person's eye
    return any(choice <= PERMISSIVE for choice in terms(expression))


def terms(expression: str) -> frozenset[frozenset[str]]:
    """An SPDX expression without nesting as its choices, each a set of licences that all apply."""
    flat = expression.replace("(", " ").replace(")", " ")
    return frozenset(
        frozenset(term.strip() for term in choice.split(" AND ")) for choice in flat.split(" OR ")
    )


#: A block comment, or line comments one after the other; with the white space around it.
_TOP_COMMENT = re.compile(r"\s*(?:/\*.*?\*/|(?://[^\n]*\n|#(?!!)[^\n]*\n)+)\s*", re.DOTALL)
_COPYRIGHT_WORDS = re.compile(r"licen[sc]ed?\b|copyright", re.IGNORECASE)


def header_forbids(text: str) -> bool:
    """Whether the top of a source file names a licence that is not permissive."""
    header = text[:HEADER_CHARACTERS]
    lowered = header.lower()
    if any(hint in lowered for hint in _HINTS) and _NOT_PERMISSIVE.search(header):
        return True
    tagged = _SPDX_LINE.findall(header) if "spdx" in lowered else []
    return any(not is_permissive(expression.strip()) for expression in tagged)


def without_header(text: str) -> str:
    """A source file without the comments at its top that speak of licence or copyright.

    They are kept in a corpus and its NOTICE; a model that knows them by heart completes no better.
    A comment that says anything else, a shebang and a docstring stay.
    """
    start = 0
    while comment := _TOP_COMMENT.match(text, start):
        if not _COPYRIGHT_WORDS.search(comment.group()):
            break
        start = comment.end()
    return text[start:]


def copyright_lines(text: str) -> list[str]:
    """Copyright statements at the top of a text, one line each, without comment marks."""
    lines = text[:HEADER_CHARACTERS].splitlines()
    found = (_COPYRIGHT.search(line) for line in lines)
    return [match.group(0).strip(" \t*/#-").strip()[:200] for match in found if match]
