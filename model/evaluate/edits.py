"""Lines that people have typed: those that a repository's commits added, or lines of its files.

Of each addition at most a few lines are typed, into the file as it then was: of a commit, with all
its other changes and the addition's own earlier lines there, and its later ones not yet; of a
plain file, with everything else there.
"""

from __future__ import annotations

import hashlib
import random
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model.evaluate.task import EvaluateError, Workload
from model.languages import LANGUAGES
from santa_lsp.bench.session import Session, Step
from santa_lsp.languages import language_of

MOST_LINES = 8
MOST_CHARACTERS = 400
LEAST_CHARACTERS = 10

#: Files that were not typed: built, copied, or too long to be written by hand.
SKIPPED = {".git", "node_modules", "build", "dist", "vendor", "third_party"}
MOST_FILE_CHARACTERS = 200_000
MOST_LINE_CHARACTERS = 300

_HUNK = re.compile(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@")


@dataclass(frozen=True, slots=True)
class Typed:
    """An addition as a typing session; `id` says where it is from."""

    id: str
    session: Session


def load(repository: Path, commits: int, seed: int) -> Workload:
    """The additions of the last `commits` commits, or of the files where there is no history.

    In an order that `seed` decides, so that the first few are a fair sample. Raises EvaluateError.
    """
    if not repository.is_dir():
        raise EvaluateError(f"{repository} is no folder: give --repo the folder of a repository")
    random_ = random.Random(seed)
    if (repository / ".git").exists():
        found = list(_from_commits(repository, commits, random_))
    else:
        found = list(_from_files(repository, random_))
    if not found:
        raise EvaluateError(f"{repository} has no additions in {', '.join(LANGUAGES)} to type")
    random_.shuffle(found)
    digest = hashlib.sha256()
    for each in found:
        digest.update(repr(each).encode(errors="surrogatepass"))
    return Workload(found, {repository.resolve().name: digest.hexdigest()})


def _from_files(repository: Path, random_: random.Random) -> Iterator[Typed]:
    """One run of lines of each file."""
    for path in sorted(repository.rglob("*")):
        name = path.relative_to(repository)
        if SKIPPED & set(name.parts) or language_of(path.name) not in LANGUAGES:
            continue
        if path.is_file() and (lines := _lines(path.read_bytes())):
            first = random_.randrange(len(lines))
            count = random_.randint(2, MOST_LINES)
            typed = _typed(name.as_posix(), lines, first, lines[first : first + count], count)
            if typed is not None:
                yield typed


def _from_commits(repository: Path, commits: int, random_: random.Random) -> Iterator[Typed]:
    """Every addition of each commit."""
    listed = _git(repository, "rev-list", "--no-merges", f"--max-count={commits}", "HEAD")
    for commit in listed.decode().split():
        diff = _git(
            repository,
            *("-c", "core.quotePath=false", "diff-tree", "-r", "-p", "--root", "--unified=0"),
            *("--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", commit),
        )
        file, lines = "", list[str]()
        for line in diff.decode("utf-8", "replace").split("\n"):
            if line.startswith("+++ "):
                file = line.removeprefix("+++ ").removeprefix("b/").rstrip("\t\r")
                wanted = language_of(file) in LANGUAGES and not SKIPPED & set(Path(file).parts)
                lines = _lines(_git(repository, "show", f"{commit}:{file}")) if wanted else []
            elif lines and (hunk := _HUNK.match(line)):
                first, count = int(hunk[1]) - 1, int(hunk[2] or 1)
                skipped = random_.randint(0, max(0, count - MOST_LINES))
                added = lines[first + skipped : first + min(count, skipped + MOST_LINES)]
                name = f"{commit[:12]}:{file}"
                if typed := _typed(name, lines, first + skipped, added, count - skipped):
                    yield typed


def _typed(name: str, lines: list[str], first: int, added: list[str], gone: int) -> Typed | None:
    """Type `added` at line `first` of a file from which `gone` lines are taken there."""
    while added and (not added[-1].strip() or sum(map(len, added)) > MOST_CHARACTERS):
        added = added[:-1]
    text = "\n".join(added)
    if len(text.strip()) < LEAST_CHARACTERS or first == 0:
        return None
    before = "\n".join(lines[:first])
    rest = "\n".join(["", *lines[first + gone :]])
    session = Session(
        name=name,
        language=language_of(name),
        file=name.rpartition("/")[2],
        text=before + rest,
        steps=(Step("type", "\n" + text),),
        cursor=len(before),
    )
    return Typed(f"{name}:{first + 1}", session)


def _lines(content: bytes) -> list[str]:
    """The lines of a file that was typed; none of any other."""
    if len(content) > MOST_FILE_CHARACTERS or b"\0" in content:
        return []
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return []
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [] if max(map(len, lines)) > MOST_LINE_CHARACTERS else lines


def _git(repository: Path, *arguments: str) -> bytes:
    """Output of a git command. Raises EvaluateError."""
    try:
        return subprocess.run(
            ["git", "-C", str(repository), *arguments], capture_output=True, check=True
        ).stdout
    except OSError as error:
        raise EvaluateError(f"git cannot be run: {error.strerror}; install it") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip().splitlines()
        raise EvaluateError(f"git in {repository}: {said[-1] if said else 'failed'}") from error
