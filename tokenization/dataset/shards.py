"""Shards: Parquet files of token rows, one row per variant of a piece.

Tokens are a binary column of little-endian uint16: Parquet has no 16-bit type, and a list column costs twice
the bytes and reads ten times slower. The file's metadata records the token format, and reading with another format is
refused. Of the styles a shard records only those it uses, so that adding styles to a dataset leaves its shards alone.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from infra.digests import file_sha256
from infra.errors import RunError
from infra.files import write_atomically
from infra.object_store import Folder
from tokenization.encodings import Encoding
from tokenization.vocabulary import Tokens

TOKEN_TYPE = np.dtype("<u2")
ORIGINAL: dict[str, float] = {"transpose": 0, "velocity_shift": 0, "stretch": 1.0}
"""Columns that tell the variants of a piece apart, and their values in the row of the piece as it is."""
_FORMAT_KEYS = ("encoding", "time", "vocabulary", "styles")
ROW_GROUP = 128
"""Rows per row group, the unit of reading."""

SCHEMA = pa.schema(
    [
        pa.field("piece_id", pa.string(), nullable=False),
        pa.field("family", pa.string(), nullable=False),
        pa.field("style", pa.string()),
        pa.field("instrumentation", pa.string(), nullable=False),
        pa.field("transpose", pa.int8(), nullable=False),
        pa.field("velocity_shift", pa.int8(), nullable=False),
        pa.field("stretch", pa.float32(), nullable=False),
        pa.field("n_tokens", pa.int32(), nullable=False),
        pa.field("tokens", pa.binary(), nullable=False),
    ]
)


class ShardError(RunError, ValueError):
    """A shard that is damaged or was written with another encoding or vocabulary."""


@dataclass(frozen=True)
class TokenFormat:
    """The meaning of the ids in a shard, from the metadata of its file."""

    encoding: str
    time: str
    """Unit of ticks: `seconds` or `beats`."""
    vocabulary: str
    """`Vocabulary.fixed_digest`: covers all but the styles."""
    styles: Mapping[str, int]
    """Ids by style: those that a shard uses, or all that a reader knows."""

    @classmethod
    def of(cls, encoding: Encoding) -> TokenFormat:
        """Return the format of an encoding's ids."""
        vocabulary = encoding.vocabulary
        styles = {style: vocabulary.style_id(style) for style in vocabulary.styles}
        return cls(encoding.name, str(encoding.time), vocabulary.fixed_digest, styles)

    def metadata(self, used: Iterable[str]) -> dict[str, str]:
        """Return the metadata of a file that uses some of the styles."""
        return {
            "musenet.encoding": self.encoding,
            "musenet.time": self.time,
            "musenet.vocabulary": self.vocabulary,
            "musenet.styles": json.dumps({style: self.styles[style] for style in sorted(used)}),
            "musenet.dtype": TOKEN_TYPE.str,
        }

    def mismatch(self, reader: TokenFormat) -> str:
        """Describe the first difference by which a reader would misread the ids; empty if there is none."""
        if (self.encoding, self.time) != (reader.encoding, reader.time):
            return f"encoding {self.encoding!r} in {self.time}, not {reader.encoding!r} in {reader.time}"
        if self.vocabulary != reader.vocabulary:
            return f"vocabulary {self.vocabulary[:12]}, not {reader.vocabulary[:12]}"
        for style, token in self.styles.items():
            if reader.styles.get(style) != token:
                return f"the style {style!r} as id {token}, not {reader.styles.get(style, 'at all')}"
        return ""


@dataclass(frozen=True)
class Row:
    """One variant of one piece."""

    piece_id: str
    """SHA-256 of the source file's bytes."""
    family: str
    style: str | None
    instrumentation: str
    """Sounding instrument groups in the text form: `piano_strings`."""
    tokens: Tokens
    transpose: int = 0
    """Semitones."""
    velocity_shift: int = 0
    stretch: float = 1.0
    """Factor on all durations."""


def write_shard(
    path: Folder,
    rows: Sequence[Row],
    token_format: TokenFormat,
    further: pl.DataFrame | None = None,
    about: Mapping[str, str] | None = None,
) -> str:
    """Write a shard and return the SHA-256 of the file.

    `further`: columns behind those of SCHEMA, a row for each of `rows`. `about`: metadata of the file beside the token
    format. Not atomic on a disk: write into a staging folder. In an object store the file appears whole.
    """
    if isinstance(path, Path):
        _write_table(path, rows, token_format, further, about)
        return file_sha256(path)
    with tempfile.TemporaryDirectory(prefix="musenet-") as folder:
        local = Path(folder, path.name)
        _write_table(local, rows, token_format, further, about)
        write_atomically(path, local.read_bytes())
        return file_sha256(local)


def _write_table(
    path: Path,
    rows: Sequence[Row],
    token_format: TokenFormat,
    further: pl.DataFrame | None,
    about: Mapping[str, str] | None,
) -> None:
    # Through polars: pyarrow's own conversion of lists imports pandas, a third of a second in every worker.
    frame = pl.DataFrame(
        {
            "piece_id": [row.piece_id for row in rows],
            "family": [row.family for row in rows],
            "style": [row.style for row in rows],
            "instrumentation": [row.instrumentation for row in rows],
            "transpose": [row.transpose for row in rows],
            "velocity_shift": [row.velocity_shift for row in rows],
            "stretch": [row.stretch for row in rows],
            "n_tokens": [len(row.tokens) for row in rows],
            "tokens": [row.tokens.astype(TOKEN_TYPE).tobytes() for row in rows],
        },
        schema_overrides={"style": pl.String},
    )
    schema = SCHEMA
    if further is not None:
        frame = frame.hstack(further)
        schema = pa.schema([*SCHEMA, *further.to_arrow(compat_level=pl.CompatLevel.oldest()).schema])
    used = {row.style for row in rows if row.style is not None}
    schema = schema.with_metadata({**token_format.metadata(used), **(about or {})})
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema)
    labels = [name for name in schema.names if name != "tokens"]
    pq.write_table(
        table,
        path,
        compression="zstd",
        row_group_size=ROW_GROUP,
        use_dictionary=["style", "instrumentation"],
        write_statistics=labels,
        write_page_checksum=True,
    )


def read_token_format(path: Path) -> TokenFormat:
    """Read the token format of a shard. Raises ShardError for a file that is not a shard."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowInvalid, OSError) as error:
        raise ShardError(f"{path} cannot be read as a shard: {error}") from error
    try:
        encoding, time, vocabulary, styles = (metadata[f"musenet.{name}".encode()].decode() for name in _FORMAT_KEYS)
        return TokenFormat(encoding, time, vocabulary, json.loads(styles))
    except KeyError as error:
        raise ShardError(f"{path} has no {error.args[0].decode()} in its metadata: it is not a shard") from error
    except ValueError as error:
        raise ShardError(f"{path} is damaged: its metadata cannot be read: {error}") from error


def read_shard(path: Path, expected: TokenFormat, columns: Iterable[str] = SCHEMA.names) -> pa.Table:
    """Read columns of a shard. Raises ShardError when it is damaged or its ids mean something else."""
    difference = read_token_format(path).mismatch(expected)
    if difference:
        raise ShardError(f"{path} was written with {difference}: its ids mean something else")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read(list(columns))
    except (pa.ArrowInvalid, OSError) as error:
        raise ShardError(f"{path} is damaged: {error}") from error


def token_arrays(table: pa.Table) -> Iterator[Tokens]:
    """Yield the token rows of a table, without copying them out of Arrow's buffers."""
    for chunk in table.column("tokens").chunks:
        _, offsets_buffer, data_buffer = chunk.buffers()
        if data_buffer is None:
            continue
        offsets = np.frombuffer(offsets_buffer, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        data = np.frombuffer(data_buffer, np.uint8)
        for begin, end in zip(offsets[:-1].tolist(), offsets[1:].tolist()):
            yield data[begin:end].view(TOKEN_TYPE)
