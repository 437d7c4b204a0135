"""The store of pieces: what reading a file gave, kept by the SHA-256 of its bytes.

A file is read once. Later runs (a grown collection, another encoding, new rules) take its notes, facts and
fingerprint from here. The store is a folder of Parquet parts, each written at once and never changed; rows can be
made again at any time, so a part that is damaged is dropped and its files are read anew.
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

from infra.files import STAGING_PREFIX, remove_abandoned, write_atomically
from infra.object_store import Folder, files_in, reachable
from tokenization import fingerprint, midi

VERSION = f"reader{midi.VERSION}-fingerprint{fingerprint.VERSION}"
"""Readings of another reader or fingerprint are not used."""
ROW_GROUP = 128
"""Rows that are read together when some of them are wanted."""
OLDEST = pl.CompatLevel.oldest()
"""Arrow types that every reader of Parquet knows."""

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
"""Parts that are read at once from an object store."""
FACTS = [name for name in COLUMNS if name != "score"]


@dataclass(frozen=True)
class RowRef:
    """Where a piece's row lies."""

    part: str
    row: int


class Store:
    """The pieces of a lake that were read by this version of the reader."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder / VERSION

    def write(self, rows: Mapping[str, Sequence[object]]) -> str:
        """Publish a part with the COLUMNS; its name follows from its content. Runs in worker processes."""
        # Through polars: pyarrow's own conversion of lists imports pandas, a third of a second in every worker.
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
        """The names of all parts; leftovers of ended processes are removed."""
        remove_abandoned(self.folder)
        names = files_in(self.folder)
        return [name for name in names if name.endswith(".parquet") and not name.startswith(STAGING_PREFIX)]

    def facts(self, parts: Iterable[str] | None = None) -> pl.DataFrame:
        """Everything but the notes, of all parts or some: columns FACTS, `part` and `row`; one row per SHA-256."""
        empty = _placed(pl.DataFrame(schema={name: COLUMNS[name] for name in FACTS}), "")
        with reachable(self.folder), ThreadPoolExecutor(1 if isinstance(self.folder, Path) else REQUESTS) as pool:
            frames = pool.map(self._facts_of, self.parts() if parts is None else parts)
            found = pl.concat([empty, *(frame for frame in frames if frame is not None)])
        different = found.unique("sha256", keep="first", maintain_order=True)
        if len(different) < len(found):  # files that were refused were tried again: music counts more
            found = found.sort(pl.col("refusal").is_not_null(), maintain_order=True)
            different = found.unique("sha256", keep="first", maintain_order=True)
        return different

    def scores(self, places: Sequence[RowRef]) -> list[memoryview]:
        """The notes of pieces, each as `Score.to_bytes` gave them, in the order asked for.

        Raises OSError or pyarrow's errors for a part that is gone or damaged; that one is dropped, so that the next
        run reads its files anew.
        """
        found: list[memoryview] = [memoryview(b"")] * len(places)
        wanted: dict[str, list[int]] = {}
        for index, place in enumerate(places):
            wanted.setdefault(place.part, []).append(index)
        for part, indices in wanted.items():
            with self._opened(part) as file:
                groups = sorted({places[index].row // ROW_GROUP for index in indices})
                column = file.read_row_groups(groups, columns=["score"]).column(0)
            position = {group: number * ROW_GROUP for number, group in enumerate(groups)}
            for index in indices:
                group, row = divmod(places[index].row, ROW_GROUP)
                found[index] = memoryview(column[position[group] + row].as_buffer())
        return found

    def _facts_of(self, part: str) -> pl.DataFrame | None:
        """The facts of a part, None for one that is gone or damaged."""
        try:
            with self._opened(part) as file:
                return _placed(pl.DataFrame(pl.from_arrow(file.read(FACTS))), part)
        except (pa.ArrowInvalid, OSError) as error:
            if not _of_the_part(error):
                raise
            return None

    @contextlib.contextmanager
    def _opened(self, part: str) -> Iterator[pq.ParquetFile]:
        """A part for reading; one that turns out to be damaged is dropped. Raises OSError and pyarrow's errors."""
        path = self.folder / part
        try:
            with path.open("rb") as source, pq.ParquetFile(source, page_checksum_verification=True) as file:
                yield file
        except (pa.ArrowInvalid, OSError) as error:
            if _of_the_part(error):
                path.unlink(missing_ok=True)
            raise


def _of_the_part(error: Exception) -> bool:
    """Whether reading failed because a part is gone or damaged, and not because its disk or store did."""
    if isinstance(error, ConnectionError | TimeoutError | PermissionError):
        return False
    # Of what the Parquet reader finds wrong, OSError has no number.
    return not isinstance(error, OSError) or error.errno in (None, errno.ENOENT)


def _placed(facts: pl.DataFrame, part: str) -> pl.DataFrame:
    """Facts of a part with the place of each row."""
    return facts.with_columns(pl.lit(part).alias("part"), pl.int_range(pl.len(), dtype=pl.Int64).alias("row"))
