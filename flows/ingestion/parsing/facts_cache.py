"""The cache of the store's facts: what its parts say of all pieces but their notes, in a form that is only mapped.

The store's parts are compressed and many; most of them are the same at every ingestion. The cache is a folder of Arrow
files, each with the rows of some parts, and named by its `checksum`. It is a cache: a file that is torn or damaged is
dropped, rows of a part that is gone or was changed are left out, and what is lacking is read from the parts.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa

from flows.ingestion.parsing.checksum import checksum
from infra.files import remove_abandoned, write_atomically

MOST_FILES = 16
"""More files than these are merged into one."""
STAMP = "stamp"
"""The column that tells a part from one that was written in its place later."""
KEY = ["part", STAMP]


@dataclass(frozen=True)
class FactsCache:
    """The facts of parts in a folder of this machine."""

    folder: Path
    schema: Mapping[str, pl.DataType]
    """The columns, `part` among them."""

    def read(self, stamps: Mapping[str, str]) -> list[pl.DataFrame]:
        """Return the rows of the parts that are cached, as tables with the columns of `schema`.

        `stamps`: stamps of the parts there are, by name.
        """
        wanted = _table(stamps)
        frames: list[pl.DataFrame] = []
        for path in self._files():
            frame = self._rows_of(path)
            if frame is None:
                continue
            parts = frame.select(KEY).unique(maintain_order=True)
            kept = parts.join(wanted, on=KEY, how="semi", maintain_order="left")
            wanted = wanted.join(kept, on=KEY, how="anti")  # two ingestions at once may have added a part twice
            if len(kept) < len(parts):
                frame = frame.join(kept, on=KEY, how="semi", maintain_order="left")
            frames.append(frame.drop(STAMP))
        return frames

    def add(self, facts: pl.DataFrame, stamps: Mapping[str, str]) -> None:
        """Add the rows of parts, of which all have a stamp."""
        rows = facts.join(_table(stamps), on="part", how="inner", maintain_order="left")
        if rows.is_empty():
            return
        remove_abandoned(self.folder)
        files = self._files()
        if len(files) < MOST_FILES:
            self._write(rows)
            return
        known = [frame for frame in map(self._rows_of, files) if frame is not None]
        self._write(pl.concat([*known, rows], how="vertical"))
        for path in files:  # after the whole is written: killed here, the cache has some rows twice
            path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[!.]*.arrow"))

    def _write(self, rows: pl.DataFrame) -> None:
        buffer = io.BytesIO()
        rows.rechunk().write_ipc(buffer, compression="uncompressed")  # which can be mapped
        data = buffer.getvalue()
        write_atomically(self.folder / f"{checksum(data)}.arrow", data)

    def _rows_of(self, path: Path) -> pl.DataFrame | None:
        """Return the rows of a file of the cache; None for one that is not what was written, which is removed."""
        try:
            with pa.memory_map(str(path)) as file:
                content = file.read_buffer()
            rows = _rows_in(content) if checksum(memoryview(content)) == path.stem else None
        except (OSError, ValueError, pl.exceptions.PolarsError):  # gone, empty, or of another kind
            rows = None
        if rows is None or rows.schema != {**self.schema, STAMP: pl.String()}:
            path.unlink(missing_ok=True)
            return None
        return rows


def mapped(path: Path) -> pl.DataFrame:
    """Read an uncompressed Arrow file whose texts and bytes stay in the file: it must not change, but may be removed.

    polars itself would read all of it into memory.
    """
    with pa.memory_map(str(path)) as file:
        return _rows_in(file.read_buffer())


def _rows_in(content: pa.Buffer) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(pa.ipc.open_file(content).read_all(), rechunk=False))


def _table(stamps: Mapping[str, str]) -> pl.DataFrame:
    return pl.DataFrame({"part": [*stamps.keys()], STAMP: [*stamps.values()]}, schema=dict.fromkeys(KEY, pl.String))
