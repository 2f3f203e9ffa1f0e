"""From sources to shards: read, filter, remove duplicates, count, write."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import zstandard

from model.languages import LANGUAGES, SUFFIXES, language_of
from santa_lsp.models.files import replaced_folder

from .decontaminate import EvaluationIndex, Overlap, words
from .documents import TABLE_FILE, CorpusError, Document, write_shards
from .duplicates import Fingerprint, Seen, fingerprint
from .evidence import Evidence
from .filters import FILTERS, OWN_FILTERS
from .licences import copyright_lines
from .manifest import STANDARD_LIBRARY
from .notice import Notice
from .sources import Source

# Compilers of TypeScript end their output with it; a model must not learn to.
_SOURCE_MAP_LINK = re.compile(r"^//# sourceMappingURL=(?!data:)\S+\n?", re.MULTILINE)

Table = dict[str, Any]  # the content of corpus.json
OWN = "own"  # stands in it for the licence of the user's own code


@dataclasses.dataclass(slots=True)
class Sifted:
    """The documents of one source that passed the filters, and the number removed, by reason."""

    source: Source
    documents: list[tuple[Document, Fingerprint]] = dataclasses.field(default_factory=list)
    removed: Counter[str] = dataclasses.field(default_factory=Counter)  # files by reason
    evidence: Evidence = dataclasses.field(default_factory=Evidence)
    copyrights: set[str] = dataclasses.field(default_factory=set)
    contaminated: dict[str, Overlap] = dataclasses.field(default_factory=dict)  # by path
    licence_problem: str | None = None  # then no document is kept


def sift(source: Source, index: EvaluationIndex | None = None) -> Sifted:
    """Read a source and keep the files that pass every filter."""
    project = source.project
    result = Sifted(source)
    filters = OWN_FILTERS if source.is_own else FILTERS
    for path, content in source.read():
        language = language_of(path)
        if language is None:
            result.evidence.read(path, content)
            result.copyrights.update(copyright_lines(content.decode("utf-8", "replace")))
            continue
        try:
            text = clean_text(content)
        except UnicodeDecodeError:
            result.removed["not UTF-8"] += 1
            continue
        reason = next((name for name, removes in filters.items() if removes(path, text)), None)
        found = words(text) if reason is None else []
        if index is not None and (shared := index.overlap(found)):
            reason = "evaluation overlap"
            result.contaminated[path] = shared
        if reason is not None:
            result.removed[reason] += 1
            continue
        result.copyrights.update(copyright_lines(text))
        document = Document(
            text=text,
            language=language,
            package=project.name,
            version=project.version,
            registry=project.registry,
            licence=project.licence or None,
            path=path,
        )
        result.documents.append((document, fingerprint(text, found)))
    if not source.is_own and project.registry != STANDARD_LIBRARY:
        _check_licence(result)
    return result


def _check_licence(sifted: Sifted) -> None:
    """Keep nothing of a project whose archive contradicts the manifest."""
    evidence, licence = sifted.evidence, sifted.source.project.licence
    if evidence.contradicts(licence):
        evidence.read_headers(document.text for document, _ in sifted.documents)
    sifted.licence_problem = evidence.contradicts(licence)
    if sifted.licence_problem:
        sifted.removed["licence not confirmed"] += len(sifted.documents)
        sifted.documents.clear()


def clean_text(content: bytes) -> str:
    """The text of a source file, lines ending in ``\\n``, no byte-order mark, no source map link.

    Raises UnicodeDecodeError if it is not UTF-8.
    """
    text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    return _SOURCE_MAP_LINK.sub("", text)


_index: EvaluationIndex | None = None  # of this worker process: too large to send with each source


def _start_worker(index: EvaluationIndex | None) -> None:
    global _index
    _index = index


def _sift_in_worker(source: Source) -> Sifted:
    return sift(source, _index)


def sift_all(
    sources: Iterable[Source], index: EvaluationIndex | None, jobs: int
) -> Iterator[Sifted]:
    """`sift` in ``jobs`` processes; results come in the order of ``sources``."""
    if jobs == 1:
        yield from (sift(source, index) for source in sources)
        return
    with ProcessPoolExecutor(jobs, initializer=_start_worker, initargs=(index,)) as pool:
        yield from pool.map(_sift_in_worker, sources)


def check_replaceable(out: Path) -> None:
    """Raise CorpusError unless ``out`` is a corpus, an empty folder or nothing yet."""
    if out.exists() and not (out / TABLE_FILE).is_file() and not _is_empty_folder(out):
        raise CorpusError(f"{out} holds something other than a corpus: give another folder")


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def build(
    out: Path,
    sources: list[Source],
    index: EvaluationIndex | None,
    jobs: int = 1,
    held_out: Iterable[str] = (),
    on_sifted: Callable[[], None] = lambda: None,
) -> Table:
    """Write a corpus at ``out`` and return its table, the content of ``corpus.json``.

    Documents are ordered by the hash of their text, so that every shard is a fair sample of the
    whole. ``out`` is replaced only once the new corpus is complete. Raises CorpusError if ``out``
    holds something else, or if nothing passes the filters.
    """
    check_replaceable(out)
    compressor, decompressor = zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()
    seen = {language: Seen() for language in LANGUAGES}
    # Texts wait in memory, compressed, until all hashes are known and they can be put in order.
    kept: dict[bytes, bytes] = {}
    cells: dict[str, dict[str, Counter[str]]] = {language: {} for language in LANGUAGES}
    packages: list[Table] = []
    notice = Notice()
    for sifted in sift_all(sources, index, jobs):
        total: Counter[str] = Counter(files=0, bytes=0)
        for document, mark in sifted.documents:
            if reason := seen[document.language].add(mark):
                sifted.removed[reason] += 1
                continue
            kept[mark.exact] = compressor.compress(document.to_json())
            counts = Counter(files=1, bytes=document.n_bytes)
            total += counts
            licence = document.licence or OWN
            cells[document.language].setdefault(licence, Counter()).update(counts)
        packages.append(_package_row(sifted, total))
        if total["files"]:
            notice.add(sifted.source.project, sifted.copyrights, sifted.evidence.texts)
        on_sifted()
    removed: Counter[str] = sum((Counter(row["removed"]) for row in packages), Counter())
    if not kept:
        reasons = ", ".join(f"{reason} {count}" for reason, count in removed.most_common())
        raise CorpusError(
            f"no source file passed the filters, nothing to write: {reasons}"
            if removed
            else f"no {', '.join(SUFFIXES)} file found, nothing to write"
        )
    table: Table = {
        "languages": {
            language: {licence: dict(counts) for licence, counts in sorted(rows.items())}
            for language, rows in cells.items()
        },
        "removed": dict(sorted(removed.items())),
        "licence_problems": {
            row["package"]: row["licence_problem"] for row in packages if row["licence_problem"]
        },
        "evaluation": None if index is None else _evaluation_report(index, packages),
        "held_out": sorted(held_out),
        "packages": packages,
    }
    with replaced_folder(out) as new:
        write_shards(new, (decompressor.decompress(kept[key]) for key in sorted(kept)))
        (new / "NOTICE").write_text(str(notice), encoding="utf-8")
        text = json.dumps(table, indent=1, ensure_ascii=False) + "\n"
        (new / TABLE_FILE).write_text(text, encoding="utf-8")
    return table


def _package_row(sifted: Sifted, total: Counter[str]) -> Table:
    project = sifted.source.project
    return {
        "registry": project.registry,
        "package": project.name,
        "version": project.version,
        "licence": project.licence or None,
        "sha256": project.sha256 or None,
        **total,
        "licence_evidence": sifted.evidence.summary(),
        "licence_problem": sifted.licence_problem,
        "removed": dict(sorted(sifted.removed.items())),
        "contaminated": {path: dataclasses.asdict(o) for path, o in sifted.contaminated.items()},
    }


def _evaluation_report(index: EvaluationIndex, packages: list[Table]) -> Table:
    """By evaluation set: its runs of words, and the files that were removed for sharing any."""
    files = Counter(
        name for row in packages for found in row["contaminated"].values() for name in found["sets"]
    )
    return {name: {"runs": n, "files": files[name]} for name, n in index.runs().items()}
