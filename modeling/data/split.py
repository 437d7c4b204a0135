"""The pieces of one split of a dataset version, read from its shards."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from infra.digests import file_sha256
from modeling.data.cache_folder import cached_columns
from modeling.data.token_cache import (
    NO_STYLE,
    Columns,
    PieceIds,
    PieceStyles,
    TokenCache,
    concatenate_columns,
    piece_columns,
)
from tokenization.dataset import ShardError, TokenFormat, open_version, read_shard
from tokenization.dataset.shards import TOKEN_TYPE
from tokenization.encodings import Encoding
from tokenization.vocabulary import Tokens, Vocabulary


@dataclass(frozen=True)
class Split:
    """The pieces of one split of a dataset version."""

    pieces: Sequence[Tokens]
    piece_ids: Sequence[str]
    styles: Sequence[str | None]
    encoding: Encoding

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the encoding."""
        return self.encoding.vocabulary

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Number of tokens of each piece, shape (pieces,)."""
        if isinstance(self.pieces, TokenCache):
            return np.diff(self.pieces.offsets)
        return np.array([len(piece) for piece in self.pieces], np.int64)

    @cached_property
    def token_cache(self) -> TokenCache:
        """The pieces, concatenated."""
        return self.pieces if isinstance(self.pieces, TokenCache) else TokenCache.of(self.pieces, self.encoding)


def load_split(version: Path, split: str, cache: Path | None = None) -> Split:
    """Read a split (`train`, `validation` or `test`) of the dataset version in a folder.

    With a `cache` folder the tokens are decoded into it once and mapped from there; else they are held in memory.
    Raises ShardError for a shard that is missing, damaged, not the one that the version lists, or of another encoding
    than the version's, and if the cache cannot be written.
    """
    opened = open_version(version)
    encoding, shards = opened.encoding, opened.shards(split)
    for name in shards:
        if not (version / name).exists():
            raise ShardError(f"{version / name} is missing although dataset.json lists it: ingest again")
    if cache is None or not shards:
        columns = concatenate_columns(_column_chunks(version, shards, encoding))
    else:
        meaning = hashlib.sha256(encoding.effects.code.tobytes()).hexdigest()
        origin = {"shards": shards, "stamp": asdict(TokenFormat.of(encoding)), "meaning": meaning}
        columns = cached_columns(cache, split, origin, lambda: _column_chunks(version, shards, encoding))
    return Split(
        TokenCache.from_columns(columns),
        PieceIds(columns["ids"], columns["id_offsets"]),
        PieceStyles(columns["styles"], encoding.vocabulary.styles),
        encoding,
    )


def _column_chunks(version: Path, shards: dict[str, str], encoding: Encoding) -> Iterator[Columns]:
    """Yield the columns of the shards, some pieces at a time; the first chunk has no piece, and the first offsets."""
    nothing = piece_columns(np.zeros(0, np.uint16), np.zeros(0, np.int64), 0, encoding)
    start = np.zeros(1, np.int64)
    none = np.zeros(0, np.uint16)
    yield {**nothing, "offsets": start, "styles": none, "ids": none.astype(np.uint8), "id_offsets": start}
    stamp = TokenFormat.of(encoding)
    styles = pa.array(encoding.vocabulary.styles, pa.string())
    tokens_before = id_bytes_before = 0
    for name, sha256 in shards.items():
        path = version / name
        table = read_shard(path, stamp, ("piece_id", "style", "tokens"))
        if file_sha256(path) != sha256:
            raise ShardError(f"{path} is not the file that dataset.json lists: ingest again")
        for batch in table.to_batches():
            content, ends = _values(batch.column("tokens"))
            if (ends % TOKEN_TYPE.itemsize).any():
                raise ShardError(f"{path} is damaged: a piece ends within a token")
            sizes = np.diff(ends // TOKEN_TYPE.itemsize, prepend=0)
            ids, id_ends = _values(batch.column("piece_id"))
            numbers = pc.index_in(batch.column("style"), styles).fill_null(NO_STYLE)
            yield {
                **piece_columns(content.view(TOKEN_TYPE), sizes, tokens_before, encoding),
                "styles": numbers.to_numpy(zero_copy_only=False),
                "ids": ids,
                "id_offsets": id_bytes_before + id_ends,
            }
            tokens_before += int(sizes.sum())
            id_bytes_before += len(ids)


def _values(column: pa.Array[Any]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the concatenated bytes of a column of strings or binaries, and the end of each value."""
    _, offsets_buffer, data_buffer = column.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    data = np.frombuffer(data_buffer or b"", np.uint8)
    return data[offsets[0] : offsets[-1]], offsets[1:] - offsets[0]
