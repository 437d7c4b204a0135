"""A version as MIDI files, decoded from the tokens of its shards, with an index.

midi/train/bach/0123….mid, …    a file for each piece, named by its id; `_` for pieces without style
index.csv                       a row for each file: piece, source, licence, style, family, split
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from flows.export.delivery import Export, delivered, written
from flows.export.rows import SOURCE, shard_tables
from infra.errors import UserError
from tokenization.dataset import DatasetVersion
from tokenization.dataset.shards import TOKEN_TYPE
from tokenization.dataset.splits import SPLITS
from tokenization.midi.writing import write_midi

NOT_IN_NAMES = re.compile(r"[^\w.-]+")
INDEX = "index.csv"


def export_midi(version: DatasetVersion, target: Path, progress: Callable[[int, int], None]) -> Export:
    """Write the pieces of a version, without variants, to a new folder. `progress`: files written, of how many.

    The notes are those that the encoding keeps, on its grid. Raises UserError for a target that cannot be used and for
    a version without pieces, ShardError for a damaged shard.
    """
    pieces = sum(version.description.pieces.values())
    if not pieces:
        raise UserError(f"{version} has no piece; nothing was written")
    encoding = version.encoding
    index: list[pl.DataFrame] = []
    done = 0
    with delivered(target) as folder:
        for split in SPLITS:
            for table in shard_tables(version, split):
                labels = pl.DataFrame(pl.from_arrow(table.drop_columns(["tokens"]))).with_row_index("row")
                originals = labels.filter(transpose=0, velocity_shift=0, stretch=1.0).unique("piece_id", keep="first")
                originals = originals.sort("row")
                names = [_name(split, *row) for row in originals.select("style", "piece_id").iter_rows()]
                column = table.column("tokens")
                for row, name in zip(originals["row"].to_list(), names):
                    tokens = np.asarray(column[row].values, TOKEN_TYPE)
                    path = folder / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(write_midi(encoding.decode(tokens), encoding.vocabulary.output_names))
                    done += 1
                    progress(done, pieces)
                files = pl.Series("file", names, pl.String)
                index.append(
                    originals.select(files, pl.lit(split).alias("split"), "piece_id", "style", "family", *SOURCE)
                )
        pl.concat(index).write_csv(folder / INDEX)
    return written(target, done)


def _name(split: str, style: str | None, piece_id: str) -> str:
    """Return the path of a piece's file; a style is text of any kind."""
    folder = NOT_IN_NAMES.sub("_", style or "").strip(".") or "_"
    return f"midi/{split}/{folder}/{piece_id}.mid"
