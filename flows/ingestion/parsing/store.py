"""The store of pieces: the results of parsing, by the SHA-256 of the file's bytes.

A file is parsed once. Later runs (a grown collection, another encoding, new rules) take its notes, facts and
fingerprint from the store. It is a folder of Parquet parts, each written atomically and never changed. Rows can be
made again at any time: a damaged part is dropped and its files are parsed again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from flows.ingestion.parsing.facts_cache import FactsCache
from infra.files import STAGING_PREFIX, remove_abandoned, write_atomically
from infra.object_store import Folder, files_in, reachable, stamps_in
from tokenization import fingerprint, midi

VERSION = f"reader{midi.VERSION}-fingerprint{fingerprint.VERSION}"
"""Versions of reader and fingerprint; parts of others are ignored."""
ROW_GROUP = 128
"""Rows of a row group, the unit of reading."""
OLDEST = pl.CompatLevel.oldest()
"""Arrow types that every Parquet reader supports."""

COLUMNS: dict[str, pl.DataType] = {
    "sha256": pl.String(),
    "refusal": pl.String(),
    "detail": pl.String(),
    "repairs": pl.List(pl.String()),
    "notes": pl.Int64(),
    "seconds": pl.Float64(),
    "tempo": pl.Float64(),
    "programs": pl.List(pl.UInt8()),
    "drums": pl.Boolean(),
    "note_hash": pl.String(),
    "fingerprint": pl.Binary(),
    "score": pl.Binary(),
}
REQUESTS = 16
"""Parts read concurrently from an object store."""
THREADS = 4
"""Parts read concurrently from a disk: decompression releases the interpreter lock."""
FACTS = [name for name in COLUMNS if name != "score"]
"""All columns but the notes."""


@dataclass(frozen=True)
class RowRef:
    """A reference to the row of a piece."""

    part: str
    row: int


class Store:
    """The pieces of a lake that were parsed by this version of the reader."""

    def __init__(self, folder: Folder, cache: Path | None = None) -> None:
        """Open the store in a lake's folder. `cache`: the folder of this machine that keeps facts in another form."""
        self.folder = folder / VERSION
        self._cache = None if cache is None else FactsCache(cache / VERSION, _NO_FACTS.schema)

    def write(self, rows: Mapping[str, Sequence[object]]) -> str:
        """Write rows with the COLUMNS as a part and return its name, derived from its content. Runs in workers."""
        # pyarrow's own conversion of lists would import pandas: a third of a second in every worker
        table = pl.DataFrame({name: rows[name] for name in COLUMNS}, schema=COLUMNS).to_arrow(compat_level=OLDEST)
        sink = pa.BufferOutputStream()
        with pq.ParquetWriter(
            sink,
            table.schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=["refusal"],
            write_statistics=False,
            write_page_checksum=True,
        ) as writer:
            writer.write_table(table, row_group_size=ROW_GROUP)
        data = sink.getvalue().to_pybytes()
        name = f"{hashlib.sha256(data).hexdigest()[:32]}.parquet"
        write_atomically(self.folder / name, data)
        return name

    def parts(self) -> list[str]:
        """Return the names of all parts; remove leftovers of ended processes."""
        remove_abandoned(self.folder)
        names = files_in(self.folder)
        return [name for name in names if name.endswith(".parquet") and not name.startswith(STAGING_PREFIX)]

    def facts(self, parts: Iterable[str] | None = None) -> pl.DataFrame:
        """Return the facts of all parts or some: columns FACTS, `part` and `row`; one row per SHA-256.

        With a cache those of all parts come from there, and what is read is added to it.
        """
        names = self.parts() if parts is None else [*parts]
        there = {} if self._cache is None else stamps_in(self.folder)
        stamps = {name: there[name] for name in names if name in there}
        known = self._cache.read(stamps) if self._cache is not None and parts is None else []
        have = {name for frame in known for name in frame["part"].unique()}
        with reachable(self.folder), ThreadPoolExecutor(THREADS if isinstance(self.folder, Path) else REQUESTS) as pool:
            frames = pool.map(self._facts_of, [name for name in names if name not in have])
            read = pl.concat([_NO_FACTS, *(frame for frame in frames if frame is not None)])
        if self._cache is not None:
            self._cache.add(read, stamps)
        # Rows of one chunk refer to mapped fingerprints wherever they are taken to; those of several are copied.
        found = pl.concat([*known, read]).rechunk()
        if found["sha256"].n_unique() < len(found):  # refused files may have been tried again: a score takes precedence
            found = found.sort(pl.col("refusal").is_not_null(), maintain_order=True)
            found = found.unique("sha256", keep="first", maintain_order=True)
        return found

    def scores(self, refs: Sequence[RowRef]) -> list[memoryview]:
        """Return the notes of pieces, each as the bytes of `Score.to_bytes`, in the order of `refs`.

        Raises OSError or pyarrow's errors for a missing or damaged part; it is dropped, so that the next run parses
        its files again.
        """
        found: list[memoryview] = [memoryview(b"")] * len(refs)
        wanted: dict[str, list[int]] = {}
        for index, ref in enumerate(refs):
            wanted.setdefault(ref.part, []).append(index)
        for part, indices in wanted.items():
            with self._opened(part) as file:
                groups = sorted({refs[index].row // ROW_GROUP for index in indices})
                column = file.read_row_groups(groups, columns=["score"]).column(0)
            position = {group: number * ROW_GROUP for number, group in enumerate(groups)}
            for index in indices:
                group, row = divmod(refs[index].row, ROW_GROUP)
                found[index] = memoryview(column[position[group] + row].as_buffer())
        return found

    def _facts_of(self, part: str) -> pl.DataFrame | None:
        """Return the facts of a part, None if it is missing or damaged."""
        try:
            with self._opened(part) as file:
                return _with_refs(pl.DataFrame(pl.from_arrow(file.read(FACTS))), part)
        except (pa.ArrowInvalid, OSError) as error:
            if not _is_fault_of_part(error):
                raise
            return None

    @contextlib.contextmanager
    def _opened(self, part: str) -> Iterator[pq.ParquetFile]:
        """Open a part for reading; drop it if it turns out to be damaged. Raises OSError and pyarrow's errors."""
        path = self.folder / part
        try:
            with path.open("rb") as source, pq.ParquetFile(source, page_checksum_verification=True) as file:
                yield file
        except (pa.ArrowInvalid, OSError) as error:
            if _is_fault_of_part(error):
                path.unlink(missing_ok=True)
            raise


def _is_fault_of_part(error: Exception) -> bool:
    """True if reading failed because the part is missing or damaged, and not because of its disk or store."""
    if isinstance(error, ConnectionError | TimeoutError | PermissionError):
        return False
    # The OSError of a fault that the Parquet reader finds has no number.
    return not isinstance(error, OSError) or error.errno in (None, errno.ENOENT)


def _with_refs(facts: pl.DataFrame, part: str) -> pl.DataFrame:
    """Return the facts of a part with the reference to each row: columns `part` and `row`."""
    return facts.with_columns(pl.lit(part).alias("part"), pl.int_range(pl.len(), dtype=pl.Int64).alias("row"))


_NO_FACTS = _with_refs(pl.DataFrame(schema={name: COLUMNS[name] for name in FACTS}), "")
