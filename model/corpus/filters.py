"""Ordered small filters: (path, text) to the reason why a file is left out, or None.

The thresholds are those of the SantaCoder paper (arXiv:2301.03988, section 4): line length max
1000 and mean <= 100, alphanumeric share >= .25, comment-to-code ratio .01-.8.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from pathlib import PurePosixPath

from model.languages import language_of

from .licences import HEADER_CHARACTERS, header_forbids

MAX_BYTES = 2**20  # The Stack's own limit; larger sources are data
MIN_CHARACTERS = 100
MAX_LINE, MAX_MEAN_LINE = 1000, 100
MIN_ALPHANUMERIC = 0.25
MIN_COMMENTS, MAX_COMMENTS = 0.01, 0.8

Filter = Callable[[str, str], bool]

_VENDORED = {
    "vendor", "vendored", "_vendor", "_vendored", "third_party", "third-party", "thirdparty",
    "node_modules", "bower_components", "extern", "externals", "site-packages", "shaded",
    "repackaged",
}  # fmt: skip
_GENERATED = {"generated", "_generated", "__generated__"}
_BUNDLED = {"dist", "build", "bundle", "bundles", "umd", "min"}  # of JavaScript only
_TEST_DATA = {
    "testdata", "test-data", "test_data", "testfiles", "fixtures", "fixture", "__fixtures__",
    "__snapshots__", "baselines", "baseline_images", "test-resources", "golden",
}  # fmt: skip
_TEST = re.compile(
    r"(?:^|/)(?:tests?|testing|__tests__|spec)/|(?:^|/)test_|_test\.|Tests?\.java$|\.(?:test|spec)\."
)
_GENERATED_NAME = re.compile(
    r"[.\-](?:min|bundle|prod|production)\.[cm]?js$|_pb2(?:_grpc)?\.py$|TokenManager\.java$"
)
_GENERATED_HEADER = re.compile(
    r"\b(?:auto(?:matically)?|machine)[-\s]?generated\b|@generated\b|\bdo not (?:edit|modify)\b"
    r"|^[^\w\n]*(?:code )?generated (?:by|from|using|with|code)\b"
    r"|^[^\w\n]*th(?:is|e following) (?:file|code|class|module) (?:is|was|has been)\b.*\bgenerated",
    re.IGNORECASE | re.MULTILINE,
)
_TRANSPILED = re.compile(
    r"exports\s*,\s*['\"]__esModule['\"]|^//# sourceMappingURL=data:"
    r"|\b_(?:classCallCheck|createClass|inherits|asyncToGenerator)\(\w"
    r"|\b_interopRequire(?:Default|Wildcard)\(|\b__(?:awaiter|generator|extends|decorate)\(",
    re.MULTILINE,
)
_ASCII_ALPHANUMERIC = (string.ascii_letters + string.digits).encode()
_STRING = r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
_TRIPLE = r"\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''"
_COMMENTS = {
    # Strings are matched too, lest a comment mark in one be taken for a comment. Docstrings count.
    "python": re.compile(
        rf"(?P<comment>\#[^\n]*|^[ \t]*[rRuU]?(?:{_TRIPLE}))|{_TRIPLE}|{_STRING}", re.MULTILINE
    ),
    "java": re.compile(rf"(?P<comment>//[^\n]*|/\*[\s\S]*?\*/)|{_TRIPLE}|{_STRING}"),
    "javascript": re.compile(rf"(?P<comment>//[^\n]*|/\*[\s\S]*?\*/)|{_STRING}|`(?:\\.|[^`\\])*`"),
}


def comment_share(text: str, language: str) -> float:
    """Characters in comments and docstrings, as a share of all characters."""
    found = (match.group("comment") for match in _COMMENTS[language].finditer(text))
    return sum(len(comment) for comment in found if comment) / max(1, len(text))


def is_documented(path: str, text: str) -> bool:
    """Library code that explains itself: a good share of comments and docstrings, and no test."""
    language = language_of(path) or "python"
    return not _TEST.search(path) and 0.15 <= comment_share(text, language) <= 0.5


def is_vendored(path: str, text: str) -> bool:
    """In a folder of other projects' code: its licence and version are not the package's."""
    return not _VENDORED.isdisjoint(_folders(path))


def is_test_data(path: str, text: str) -> bool:
    """Input of a test, rather than a test."""
    return not _TEST_DATA.isdisjoint(_folders(path))


def is_generated(path: str, text: str) -> bool:
    """Written by a program: says so at its top, or is bundled, minified or transpiled."""
    is_javascript = language_of(path) == "javascript"
    folders = _GENERATED | _BUNDLED if is_javascript else _GENERATED
    if not folders.isdisjoint(_folders(path)) or _GENERATED_NAME.search(path):
        return True
    top = "\n".join(text[:HEADER_CHARACTERS].split("\n")[:40])
    if _GENERATED_HEADER.search(top):
        return True
    return is_javascript and _TRANSPILED.search(text) is not None


def is_too_short(path: str, text: str) -> bool:
    """Too little to learn from."""
    return len(text.strip()) < MIN_CHARACTERS


def has_long_lines(path: str, text: str) -> bool:
    """Data or minified code rather than typed lines."""
    lengths = [len(line) for line in text.splitlines()] or [0]
    return max(lengths) > MAX_LINE or sum(lengths) / len(lengths) > MAX_MEAN_LINE


def has_few_alphanumerics(path: str, text: str) -> bool:
    """Tables and drawings rather than code."""
    if text.isascii():
        n_alphanumeric = len(text) - len(text.encode().translate(None, _ASCII_ALPHANUMERIC))
    else:
        n_alphanumeric = sum(map(str.isalnum, text))
    return n_alphanumeric < MIN_ALPHANUMERIC * len(text)


def has_wrong_comment_share(path: str, text: str) -> bool:
    """No comments at all, or nearly nothing else."""
    return not MIN_COMMENTS <= comment_share(text, language_of(path) or "python") <= MAX_COMMENTS


def has_forbidden_licence(path: str, text: str) -> bool:
    """The file's own header names a licence that is not permissive."""
    return header_forbids(text)


def _folders(path: str) -> set[str]:
    return {part.lower() for part in PurePosixPath(path).parts[:-1]}


# Cheapest first; the first that says yes is the reason in the table.
FILTERS: dict[str, Filter] = {
    "vendored": is_vendored,
    "test data": is_test_data,
    "too short": is_too_short,
    "long lines": has_long_lines,
    "generated": is_generated,
    "licence header": has_forbidden_licence,
    "alphanumeric share": has_few_alphanumerics,
    "comment share": has_wrong_comment_share,
}
# For the user's own code: they know its licence, and may write no comments.
OWN_FILTERS = {
    name: test for name, test in FILTERS.items() if name not in ("licence header", "comment share")
}
