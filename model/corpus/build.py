"""From a manifest's archives to shards: read, filter, remove duplicates, count, write."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import sys
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path, PurePosixPath

import zstandard

from .archives import read_archive
from .decontaminate import EvaluationIndex
from .documents import LANGUAGES, TABLE_FILE, CorpusError, Document, write_shards
from .filters import FILTERS, MAX_BYTES, OWN_FILTERS, language_of
from .licences import copyright_lines
from .manifest import Project
from .own import read_folder

_LICENCE_FILES = ("license", "licence", "copying", "notice", "copyright")

_index: EvaluationIndex | None = None  # set in each worker process


@dataclasses.dataclass(slots=True)
class Sifted:
    """What one project gives: documents that passed the filters, and what was removed by reason."""

    project: Project
    documents: list[Document]
    removed: Counter[str]
    copyrights: list[str]
    contaminated: list[tuple[str, str]]  # (path, the words shared with an evaluation text)


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A project and where it lies: an archive, or a folder (the standard library, somebody's own repository)."""

    project: Project
    path: Path

    @property
    def is_own(self) -> bool:
        """Whether it is the user's own code rather than a manifest's project."""
        return self.project.registry == "local"


def standard_library(project: Project) -> Source:
    """The running interpreter's own library, whatever version the manifest names."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Source(dataclasses.replace(project, version=version), Path(sysconfig.get_path("stdlib")))


def own_source(folder: Path) -> Source:
    """A user's own folder, under its own name; the licence is theirs to know."""
    if not folder.is_dir():
        raise CorpusError(f"{folder} is not a folder")
    return Source(Project("local", folder.resolve().name, "", ""), folder)


def sift(source: Source, index: EvaluationIndex | None = None) -> Sifted:
    """Read one project's source files and keep those that pass every filter."""
    index = index or _index
    project = source.project
    result = Sifted(project, [], Counter(), [], [])
    filters = OWN_FILTERS if source.is_own else FILTERS
    for path, content in _read(source):
        language = language_of(path)
        if language is None:
            result.copyrights += copyright_lines(content.decode("utf-8", "replace"))
            continue
        try:
            text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError:
            result.removed["not UTF-8"] += 1
            continue
        reason = next((name for name, test in filters.items() if test(path, text)), None)
        if reason is None and index is not None and (shared := index.overlap(text)):
            reason = "evaluation overlap"
            result.contaminated.append((path, shared))
        if reason is not None:
            result.removed[reason] += 1
            continue
        result.copyrights += copyright_lines(text)
        licence = project.licence or None
        result.documents.append(
            Document(text, language, project.name, project.version, project.registry, licence, path)
        )
    result.copyrights = sorted(set(result.copyrights))
    return result


def _read(source: Source) -> Iterator[tuple[str, bytes]]:
    if source.path.is_dir():
        yield from read_folder(source.path, _is_wanted, MAX_BYTES)
        return
    strip = source.project.registry != "pypi"  # tarballs hold everything in one top folder, wheels do not
    for name, content in read_archive(source.path, _is_wanted, MAX_BYTES):
        path = "/".join(PurePosixPath(name).parts[1:]) if strip and "/" in name else name
        only = source.project.only
        if not only or language_of(path) is None or any(path.startswith(f"{folder}/") for folder in only):
            yield path, content


def _is_wanted(name: str) -> bool:
    return language_of(name) is not None or PurePosixPath(name).name.lower().startswith(_LICENCE_FILES)


def _start_worker(index: EvaluationIndex | None) -> None:
    global _index
    _index = index


def sift_all(sources: Iterable[Source], index: EvaluationIndex | None, jobs: int) -> Iterator[Sifted]:
    """`sift` over ``jobs`` processes; results in the order of ``sources``."""
    if jobs == 1:
        yield from (sift(source, index) for source in sources)
        return
    with ProcessPoolExecutor(jobs, initializer=_start_worker, initargs=(index,)) as pool:
        yield from pool.map(sift, sources)


def build(
    out: Path,
    sources: list[Source],
    index: EvaluationIndex | None,
    jobs: int = 1,
    on_done: Callable[[Project], None] = lambda _: None,
) -> dict[str, object]:
    """Write the corpus at ``out`` and return its table (the content of ``corpus.json``).

    Documents are in the order of their text's hash, so every shard is a fair sample of the whole.
    ``out`` is replaced only when the new corpus is complete; a folder that is not a corpus is never touched.
    """
    if out.exists() and any(out.iterdir()) and not (out / TABLE_FILE).exists():
        raise CorpusError(f"{out} holds something other than a corpus: give another folder")
    kept: dict[str, dict[bytes, bytes]] = {language: {} for language in LANGUAGES}
    compressor = zstandard.ZstdCompressor(level=1)  # texts wait in memory, compressed, until they can be ordered
    packages: list[dict[str, object]] = []
    notices: list[str] = []
    counts: Counter[tuple[str, str, str]] = Counter()
    removed: Counter[str] = Counter()
    for sifted in sift_all(sources, index, jobs):
        n_files, n_bytes = 0, 0
        for document in sifted.documents:
            digest = hashlib.sha256("\n".join(map(str.rstrip, document.text.split("\n"))).encode()).digest()
            if digest in kept[document.language]:
                sifted.removed["exact duplicate"] += 1
                continue
            kept[document.language][digest] = compressor.compress(document.to_json())
            n_files += 1
            n_bytes += document.n_bytes
            licence = document.licence or "own"
            counts[document.language, licence, "files"] += 1
            counts[document.language, licence, "bytes"] += document.n_bytes
        project = sifted.project
        removed += sifted.removed
        packages.append(
            {
                "registry": project.registry, "package": project.name, "version": project.version,
                "licence": project.licence or None, "files": n_files, "bytes": n_bytes,
                "removed": dict(sorted(sifted.removed.items())),
                "contaminated": [list(pair) for pair in sifted.contaminated],
            }
        )  # fmt: skip
        header = f"{project.name} {project.version} ({project.registry}): {project.licence or 'own code'}"
        notices.append("\n".join([header, *(f"    {line}" for line in sifted.copyrights)]))
        on_done(project)
    if not any(kept.values()):
        raise CorpusError("no source file passed the filters: nothing to write")
    table: dict[str, object] = {
        "languages": {
            language: {
                licence: {"files": counts[language, licence, "files"], "bytes": counts[language, licence, "bytes"]}
                for licence in sorted({key[1] for key in counts if key[0] == language})
            }
            for language in LANGUAGES
        },
        "removed": dict(sorted(removed.items())),
        "decontaminated": index is not None,
        "packages": packages,
    }
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    decompressor = zstandard.ZstdDecompressor()
    for language, by_digest in kept.items():
        lines = (decompressor.decompress(by_digest[digest]) for digest in sorted(by_digest))
        write_shards(partial, language, lines)
    (partial / "NOTICE").write_text("\n\n".join(notices) + "\n", encoding="utf-8")
    (partial / TABLE_FILE).write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)
    return table
