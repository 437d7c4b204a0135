"""The token cache: the pieces of one split concatenated into plain columns, in memory or mapped from files.

Parquet is the format for storage; training needs random access. So the shards of a split are decoded once into these
columns, little-endian, which `cache_folder` keeps as one file each:

    tokens            the pieces, concatenated; uint16
    offsets           start of each piece, and the end; int64
    marks             time and chord before every MARK_EVERY-th token, see `tokenization.dataset.windows`; int64
    transpose_ranges  semitones by which each piece can be transposed down and up; int8, two a piece
    styles            index of each piece's style in the vocabulary, NO_STYLE for none; uint16
    ids               the pieces' ids, UTF-8, concatenated
    id_offsets        start of each id, and the end; int64
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from modeling.data.augmentation import transpose_ranges
from tokenization.dataset.windows import marks
from tokenization.encodings import Encoding
from tokenization.vocabulary import Tokens

DTYPES = {
    "tokens": "<u2",
    "offsets": "<i8",
    "marks": "<i8",
    "transpose_ranges": "i1",
    "styles": "<u2",
    "ids": "u1",
    "id_offsets": "<i8",
}
NO_STYLE = 2**16 - 1
"""Style index of pieces without a style."""
Columns = dict[str, NDArray[Any]]
"""The columns above by name, of a whole split or of a chunk of its pieces."""


@dataclass(frozen=True, eq=False)
class TokenCache(Sequence[Tokens]):
    """Concatenated pieces; as a sequence, read-only views of the pieces' tokens."""

    tokens: Tokens
    offsets: NDArray[np.int64]
    marks: NDArray[np.int64]
    transpose_ranges: NDArray[np.int8]

    @classmethod
    def of(cls, pieces: Sequence[Tokens], encoding: Encoding) -> TokenCache:
        """Build the cache of pieces in memory."""
        tokens = np.concatenate([np.zeros(0, np.uint16), *pieces]).astype(np.uint16, copy=False)
        found = piece_columns(tokens, np.array([len(piece) for piece in pieces], np.int64), 0, encoding)
        return cls.from_columns({**found, "offsets": np.concatenate([[0], found["offsets"]])})

    @classmethod
    def from_columns(cls, columns: Mapping[str, NDArray[Any]]) -> TokenCache:
        """Wrap the columns of a whole split."""
        tokens = columns["tokens"].view()
        tokens.flags.writeable = False
        return cls(tokens, columns["offsets"], columns["marks"], columns["transpose_ranges"].reshape(-1, 2))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> Tokens: ...

    @overload
    def __getitem__(self, index: slice) -> list[Tokens]: ...

    def __getitem__(self, index: int | slice) -> Tokens | list[Tokens]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]


@dataclass(frozen=True, eq=False)
class PieceIds(Sequence[str]):
    """Concatenated ids of pieces, decoded on access."""

    text: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        return self.text[self.offsets[index] : self.offsets[index + 1]].tobytes().decode()


@dataclass(frozen=True, eq=False)
class PieceStyles(Sequence["str | None"]):
    """The style of each piece, by its index in the vocabulary."""

    numbers: NDArray[np.uint16]
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> str | None: ...

    @overload
    def __getitem__(self, index: slice) -> list[str | None]: ...

    def __getitem__(self, index: int | slice) -> str | list[str | None] | None:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = int(self.numbers[index])
        return None if number == NO_STYLE else self.names[number]


def piece_columns(tokens: Tokens, sizes: NDArray[np.int64], base: int, encoding: Encoding) -> Columns:
    """Derive columns from the tokens of a chunk of pieces.

    `sizes`: tokens of each piece. `base`: tokens of the split before these. `offsets` holds only the pieces' ends.
    """
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return {
        "tokens": tokens,
        "offsets": base + offsets[1:],
        "marks": marks(tokens, offsets, base, encoding.effects),
        "transpose_ranges": transpose_ranges(tokens, offsets, encoding),
    }


def concatenate_columns(chunks: Iterator[Columns]) -> Columns:
    """Concatenate the columns of all chunks, in memory."""
    found = list(chunks)
    return {name: np.concatenate([chunk[name] for chunk in found]).astype(dtype) for name, dtype in DTYPES.items()}
