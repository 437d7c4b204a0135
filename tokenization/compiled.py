"""Loops over notes and bytes as machine code, compiled by numba at their first call and cached on disk.

For a parser's state machine or a sweep over sounding notes, array operations of numpy would make many passes over
memory. Such a loop is written out and compiled. Only the first use after an installation or an edit of this package
pays for it.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core.caching import FunctionCache, IndexDataCacheFile

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Return `function` as cached machine code that releases the interpreter's lock; used as a decorator."""
    return _cached(function, numba.njit(nogil=True)(function))


def compiled_arithmetic(function: Function) -> Function:
    """Return `function` as by `compiled`, with sums in whatever order is fastest on this processor.

    For floating-point loops: sums are split among the lanes of vector registers, products fused with them, and division
    by zero gives infinity. Calls of one compiled loop with equal lengths still give equal bits.
    """
    arithmetic = numba.njit(nogil=True, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
    return _cached(function, arithmetic(function))


def _cached(function: Function, dispatcher: Any) -> Function:
    dispatcher._cache = PackageCache(function)
    return cast(Function, dispatcher)


def constant(value: int) -> int:
    """Return an integer that compiled functions take as any other.

    A plain one is a type of its own to numba, which compiles a function again for every literal argument.
    """
    return np.int64(value)  # type: ignore[return-value]


class PackageCache(FunctionCache):
    """numba's cache of one function, discarded when any source file of this package or of the function's changes.

    Machine code contains the functions and constants of other modules that it uses, but numba looks only at the file
    that defines the function.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        folders = (Path(__file__).parent, Path(inspect.getfile(function)).parent)
        stamp = (self._impl.locator.get_source_stamp(), *map(source_digest, folders))
        self._cache_file = IndexDataCacheFile(  # type: ignore[no-untyped-call]
            self._cache_path, self._impl.filename_base, stamp
        )


@cache
def source_digest(package: Path) -> str:
    """Return the SHA-256 of all Python files below a folder, in hexadecimal."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
