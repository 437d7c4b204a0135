"""Identities: by which it is told whether a model was trained on a piece, or on a relative of it.

Of each piece they hold the SHA-256 of its file, and the fingerprint of its notes, as the model's tokens have them. They
go with a model's files from one generation to the next, and hold no music but a sample of hashed phrases: a piece takes
one or two kilobytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import polars as pl

from infra.errors import RunError, message_of
from infra.files import staging_file
from tokenization import fingerprint
from tokenization.dataset import ORIGINAL, DatasetVersion, TokenFormat, read_shard, token_arrays

IDENTITIES_FILE: Final = "identities.parquet"
FORMAT: Final = 1
ABOUT: Final = "musenet.identities"
SCHEMA: dict[str, pl.DataType] = {"sha256": pl.Binary(), "fingerprint": pl.Binary()}


class IdentitiesError(RunError):
    """A file of identities that is missing, damaged or of another format."""


@dataclass(frozen=True)
class Identities:
    """The identities of pieces."""

    table: pl.DataFrame
    """Columns as in SCHEMA, a row for each piece, in the order of `sha256`; no fingerprint of a piece whose was made by
    another version of musenet."""
    complete: bool = True
    """False if there were other pieces of which nothing is known."""

    @classmethod
    def of(cls, version: DatasetVersion, *splits: str) -> Self:
        """Return the identities of the pieces in some splits of a version on this machine's disk. Raises ShardError."""
        shas, prints = [], []
        for sha256, data in _pieces(version, splits):
            shas.append(sha256)
            prints.append(data)
        return cls(_in_order(pl.DataFrame({"sha256": shas, "fingerprint": prints}, schema=SCHEMA)))

    @classmethod
    def unknown(cls) -> Self:
        """Return those of a model of which nothing is known."""
        return cls(pl.DataFrame(schema=SCHEMA), complete=False)

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a file that `write` wrote. Raises IdentitiesError."""
        try:
            about = json.loads(pl.read_parquet_metadata(file)[ABOUT])
            table = pl.read_parquet(file)
            found, version, complete = about["format"], about["fingerprint"], bool(about["complete"])
        except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
            raise IdentitiesError(f"{file} holds no identities of pieces: {message_of(error)}") from error
        if found != FORMAT or table.schema != pl.Schema(SCHEMA):
            raise IdentitiesError(f"{file} has format {found}, this version of musenet reads format {FORMAT}")
        if version != fingerprint.VERSION:
            table, complete = table.with_columns(pl.lit(None, pl.Binary).alias("fingerprint")), False
        return cls(table, complete)

    def write(self, file: Path) -> None:
        """Write a Parquet file, atomically; equal identities give equal bytes."""
        about = {"format": FORMAT, "fingerprint": fingerprint.VERSION, "complete": self.complete}
        with staging_file(file) as staged:
            self.table.write_parquet(
                staged, compression="zstd", statistics=False, metadata={ABOUT: json.dumps(about, sort_keys=True)}
            )

    def with_those_of(self, other: Identities) -> Identities:
        """Return these and those of another model, each piece once."""
        both = pl.concat([self.table, other.table]).sort(pl.col("fingerprint").is_null(), maintain_order=True)
        return Identities(_in_order(both), self.complete and other.complete)

    def __len__(self) -> int:
        return len(self.table)


def _pieces(version: DatasetVersion, splits: Sequence[str]) -> Iterator[tuple[bytes, bytes]]:
    """Yield SHA-256 and fingerprint of each piece, of its original form."""
    encoding = version.encoding
    stamp = TokenFormat.of(encoding)
    for path in (path for split in splits for path in version.shards(split)):
        table: Any = read_shard(version.path / path, stamp, ("piece_id", *ORIGINAL, "tokens"))
        labels = pl.DataFrame(pl.from_arrow(table.select(["piece_id", *ORIGINAL])))
        is_original = labels.select(pl.all_horizontal(pl.col(name) == value for name, value in ORIGINAL.items()))
        for piece, wanted, tokens in zip(labels["piece_id"], is_original.to_series(), token_arrays(table)):
            if wanted:
                yield bytes.fromhex(piece), fingerprint.fingerprint(encoding.decode(tokens)).tobytes()


def _in_order(table: pl.DataFrame) -> pl.DataFrame:
    return table.unique("sha256", keep="first", maintain_order=True).sort("sha256")
