"""One source file with where it came from, and the shards that hold many: compressed JSON lines."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import zstandard

SHARD_BYTES = 64 * 2**20  # of text: about 13 MB compressed, easily moved between machines
TABLE_FILE = "corpus.json"


class CorpusError(Exception):
    """A corpus cannot be built or read; the message says why and what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """One source file. ``text`` ends its lines with ``\\n``; ``path`` is inside the package."""

    text: str
    language: str
    package: str
    version: str
    registry: str
    licence: str | None
    path: str

    @property
    def n_bytes(self) -> int:
        """Size of the text in bytes of UTF-8."""
        return len(self.text.encode())

    def to_json(self) -> bytes:
        """One JSON line without its newline."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return json.dumps(fields, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, line: bytes | str) -> Document:
        """The inverse of `to_json`. Raises TypeError or ValueError for a line of another shape."""
        return cls(**json.loads(line))


def write_shards(folder: Path, lines: Iterable[bytes]) -> list[str]:
    """Write ``shard-NNNNN.jsonl.zst`` files of about `SHARD_BYTES`; return their names."""
    names: list[str] = []
    shard: list[bytes] = []
    size = 0

    def close() -> None:
        names.append(f"shard-{len(names):05d}.jsonl.zst")
        data = zstandard.ZstdCompressor(level=6).compress(b"".join(shard))
        (folder / names[-1]).write_bytes(data)
        shard.clear()

    for line in lines:
        shard.append(line + b"\n")
        size += len(line) + 1
        if size >= SHARD_BYTES:
            close()
            size = 0
    if shard:
        close()
    return names


class Corpus:
    """The documents of a built corpus, in the order of its shards, which may be a subset."""

    def __init__(self, folder: Path) -> None:
        """Raises CorpusError if ``folder`` is no corpus."""
        if not (folder / TABLE_FILE).is_file():
            raise CorpusError(f"{folder} is not a corpus: it has no {TABLE_FILE}")
        self.folder = folder

    def __len__(self) -> int:
        """Number of documents that the corpus was built with."""
        languages = json.loads((self.folder / TABLE_FILE).read_text(encoding="utf-8"))["languages"]
        return sum(c["files"] for licences in languages.values() for c in licences.values())

    def __iter__(self) -> Iterator[Document]:
        """Read all shards. Raises CorpusError if one is damaged."""
        for shard in sorted(self.folder.glob("*.jsonl.zst")):
            try:
                # In one piece, because a stream that was cut off would end early without an error.
                content = zstandard.ZstdDecompressor().decompress(shard.read_bytes())
                for line in content.splitlines():
                    yield Document.from_json(line)
            except (zstandard.ZstdError, ValueError, TypeError) as error:
                raise CorpusError(
                    f"{shard} is damaged ({error}): build the corpus again"
                ) from error
