"""The folder of a token cache: built once, shared by the processes of a machine, mapped into memory.

It is named by the digest of its origin: hashes of shards, encoding, effects of ids. The processes of a machine share
it, and with it the page cache: the first one builds it, under a lock, and publishes it by rename. `cache.json` holds
the origin and the size of each column's file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infra.files import publish_folder, remove_abandoned, staging_folder
from infra.locks import exclusive
from modeling.data.token_cache import DTYPES, Columns
from tokenization.dataset.shards import ShardError

VERSION = 2
"""Raised whenever the columns change; caches of other versions are left alone, and not read."""
HEAD = "cache.json"


def cached_columns(
    cache: Path, split: str, origin: Mapping[str, Any], chunks: Callable[[], Iterator[Columns]]
) -> Columns:
    """Map the columns of a split from its folder in `cache`, which is built if it is missing or damaged.

    `origin`: all that the columns depend on, as JSON values. `chunks`: makes the columns, some pieces at a time. Raises
    ShardError if the folder cannot be written; nothing is then left behind.
    """
    origin = {"version": VERSION, **origin}
    digest = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()
    folder = cache / f"{split}-{digest[:32]}"
    columns = _map_folder(folder, origin)
    if columns is None:
        with _locked(cache):
            columns = _map_folder(folder, origin)  # another process may have built it meanwhile
            if columns is None:
                _build(folder, origin, chunks())
                columns = _map_folder(folder, origin)
    if columns is None:
        raise ShardError(f"{folder} cannot be read back as it was written: check the disk of {cache}")
    return columns


def _map_folder(folder: Path, origin: Mapping[str, Any]) -> Columns | None:
    """Map the columns of a folder. None: they are incomplete, or of another origin."""
    try:
        head = json.loads((folder / HEAD).read_text(encoding="utf-8"))
        if head["origin"] != origin:
            return None
        columns = {name: _column(folder / name, dtype, head["bytes"][name]) for name, dtype in DTYPES.items()}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # Compiled code trusts offsets: none may point outside.
    for name, of in (("offsets", "tokens"), ("id_offsets", "ids")):
        offsets = columns[name]
        if offsets[0] != 0 or offsets[-1] != len(columns[of]) or (offsets[1:] < offsets[:-1]).any():
            return None
    return columns


def _column(path: Path, dtype: str, size: int) -> NDArray[Any]:
    """Map a file as an array. Raises ValueError if it has another size, OSError if it cannot be read."""
    if path.stat().st_size != size:
        raise ValueError(f"{path} has {path.stat().st_size} bytes instead of {size}")
    return np.asarray(np.memmap(path, dtype, "r")) if size else np.zeros(0, dtype)


def _build(folder: Path, origin: Mapping[str, Any], chunks: Iterator[Columns]) -> None:
    """Write the columns, chunk by chunk, and publish the complete folder. Call under the lock."""
    with contextlib.ExitStack() as stack:
        with _write_errors(folder):
            remove_abandoned(folder.parent)
            shutil.rmtree(folder, ignore_errors=True)  # damaged; removed first, to not need twice the space
            staged = stack.enter_context(staging_folder(folder.parent))
        for chunk in chunks:
            with _write_errors(folder):
                for name, dtype in DTYPES.items():
                    with (staged / name).open("ab") as file:
                        # Not tofile, which raises no error when the disk is full for the last bytes.
                        file.write(np.ascontiguousarray(chunk[name], dtype).data)
        with _write_errors(folder):
            sizes = {name: (staged / name).stat().st_size for name in DTYPES}
            (staged / HEAD).write_text(json.dumps({"origin": origin, "bytes": sizes}, indent=1), encoding="utf-8")
            publish_folder(staged, folder)


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """Hold the cache's lock, which ends with the process."""
    with contextlib.ExitStack() as stack:
        with _write_errors(cache):
            stack.enter_context(exclusive(cache / ".lock"))
        yield


@contextmanager
def _write_errors(folder: Path) -> Iterator[None]:
    """Turn an OSError of writing into a ShardError."""
    try:
        yield
    except OSError as error:
        raise ShardError(
            f"{folder} cannot be written: {error.strerror or error}: training reads tokens from there; make room on "
            "that disk, or choose another cache folder"
        ) from error
