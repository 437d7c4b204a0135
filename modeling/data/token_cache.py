"""Token store: the pieces of one split side by side in one long array, in memory or in files that are mapped.

Parquet is for keeping; training reads anywhere. So the shards of a split are decoded once, one after the other, into
a folder of plain columns, one file each:

tokens     the pieces one behind the other; uint16, like all here little-endian
offsets    where each piece begins, and the end; int64
marks      what was heard before every MARK_EVERY-th token, see `tokenization.dataset.windows`; int64
rooms      semitones that each piece can be transposed down and up; int8, two a piece
styles     number of each piece's style in the vocabulary, NO_STYLE for none; uint16
ids        the pieces' names, UTF-8, one behind the other, and in
id_offsets where each begins, and the end; int64
store.json what the columns were made from and how long they are

The folder is named by what it was made from: hashes of shards, encoding, meaning of ids. The processes of a machine
share it, and the page cache with it: the first one makes it, under a lock, and publishes it by rename.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from infra.files import publish_folder, remove_abandoned, staging_folder
from infra.locks import exclusive
from modeling.data.augmentation import rooms
from tokenization.dataset.shards import ShardError
from tokenization.dataset.windows import marks
from tokenization.encodings import Encoding
from tokenization.vocabulary import Tokens

VERSION = 1
"""Raised whenever the columns change."""
DTYPES = {
    "tokens": "<u2",
    "offsets": "<i8",
    "marks": "<i8",
    "rooms": "i1",
    "styles": "<u2",
    "ids": "u1",
    "id_offsets": "<i8",
}
NO_STYLE = 2**16 - 1
HEAD = "store.json"
Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class TokenStore(Sequence[Tokens]):
    """Pieces side by side; a sequence of views that cannot be written."""

    tokens: Tokens
    offsets: NDArray[np.int64]
    marks: NDArray[np.int64]
    rooms: NDArray[np.int8]

    @classmethod
    def of(cls, pieces: Sequence[Tokens], encoding: Encoding) -> TokenStore:
        """Pieces that are in memory."""
        tokens = np.concatenate([np.zeros(0, np.uint16), *pieces]).astype(np.uint16, copy=False)
        found = piece_columns(tokens, np.array([len(piece) for piece in pieces], np.int64), 0, encoding)
        return cls.from_columns({**found, "offsets": np.concatenate([[0], found["offsets"]])})

    @classmethod
    def from_columns(cls, columns: Mapping[str, NDArray[Any]]) -> TokenStore:
        tokens = columns["tokens"].view()
        tokens.flags.writeable = False
        return cls(tokens, columns["offsets"], columns["marks"], columns["rooms"].reshape(-1, 2))

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
class Names(Sequence[str]):
    """Texts that lie one behind the other, decoded when they are asked for."""

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
class Styles(Sequence["str | None"]):
    """Each piece's style by its number."""

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
    """The columns that follow from tokens; `base`: tokens that stand before these. Of `offsets` only the ends."""
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return {
        "tokens": tokens,
        "offsets": base + offsets[1:],
        "marks": marks(tokens, offsets, base, encoding.effects),
        "rooms": rooms(tokens, offsets, encoding),
    }


def in_memory(stretches: Iterator[Columns]) -> Columns:
    """The columns of all stretches, each whole."""
    found = list(stretches)
    return {name: np.concatenate([stretch[name] for stretch in found]).astype(dtype) for name, dtype in DTYPES.items()}


def in_cache(cache: Path, split: str, origin: Mapping[str, Any], stretches: Callable[[], Iterator[Columns]]) -> Columns:
    """The columns of all stretches, mapped from a folder in `cache`, which is made where it is not there or damaged.

    `origin`: all that they follow from, as JSON can say it. Raises ShardError when the folder cannot be written, and
    leaves nothing half done.
    """
    origin = {"version": VERSION, **origin}
    digest = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()
    folder = cache / f"{split}-{digest[:32]}"
    columns = _mapped(folder, origin)
    if columns is None:
        with _locked(cache):
            columns = _mapped(folder, origin)  # another process may have made it meanwhile
            if columns is None:
                _make(folder, origin, stretches())
                columns = _mapped(folder, origin)
    if columns is None:
        raise ShardError(f"{folder} is not what was just written there: is {cache} on a disk that works?")
    return columns


def _mapped(folder: Path, origin: Mapping[str, Any]) -> Columns | None:
    """The columns in a folder, or None if they are not those of `origin`, or not whole."""
    try:
        head = json.loads((folder / HEAD).read_text(encoding="utf-8"))
        if head["origin"] != origin:
            return None
        columns = {name: _column(folder / name, dtype, head["bytes"][name]) for name, dtype in DTYPES.items()}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # Compiled code trusts these: nothing may point outside.
    for name, of in (("offsets", "tokens"), ("id_offsets", "ids")):
        offsets = columns[name]
        if offsets[0] != 0 or offsets[-1] != len(columns[of]) or (offsets[1:] < offsets[:-1]).any():
            return None
    return columns


def _column(path: Path, dtype: str, size: int) -> NDArray[Any]:
    """A file as an array. Raises ValueError if it has another size, OSError if it cannot be read."""
    if path.stat().st_size != size:
        raise ValueError(f"{path} has {path.stat().st_size} bytes instead of {size}")
    return np.asarray(np.memmap(path, dtype, "r")) if size else np.zeros(0, dtype)


def _make(folder: Path, origin: Mapping[str, Any], stretches: Iterator[Columns]) -> None:
    """Write the columns, stretch by stretch, and publish the folder whole. To be called under the lock."""
    with contextlib.ExitStack() as stack:
        with _written(folder):
            remove_abandoned(folder.parent)
            shutil.rmtree(folder, ignore_errors=True)  # it is damaged; never two of that size on the disk
            staged = stack.enter_context(staging_folder(folder.parent))
        for stretch in stretches:
            with _written(folder):
                for name, dtype in DTYPES.items():
                    with (staged / name).open("ab") as file:
                        # Not tofile: it says nothing when the last bytes find no room.
                        file.write(np.ascontiguousarray(stretch[name], dtype).data)
        with _written(folder):
            sizes = {name: (staged / name).stat().st_size for name in DTYPES}
            (staged / HEAD).write_text(json.dumps({"origin": origin, "bytes": sizes}, indent=1), encoding="utf-8")
            publish_folder(staged, folder)


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """One process at a time; the lock ends with the process, however that ends."""
    with contextlib.ExitStack() as stack:
        with _written(cache):
            stack.enter_context(exclusive(cache / ".lock"))
        yield


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    """What the system says against writing, as one ShardError."""
    try:
        yield
    except OSError as error:
        raise ShardError(
            f"{folder} cannot be written: {error.strerror or error}: training reads tokens from there; make room on "
            "that disk, or choose another cache folder"
        ) from error
