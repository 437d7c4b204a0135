"""Loops over notes and bytes as machine code, compiled by numba at their first call and cached on disk.

For a parser's state machine or a sweep over sounding notes, array operations of numpy would make many passes over
memory. Such a loop is written out and compiled. Only the first use after an installation, or after an edit of
a module that the loop's own imports, pays for it.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import re
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core.caching import FunctionCache, IndexDataCacheFile

from infra.imports import without
from infra.locks import exclusive

Function = TypeVar("Function", bound=Callable[..., object])
Result = TypeVar("Result")


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
    dispatcher._cache = SourceCache(function)
    return cast(Function, dispatcher)


def machine_code(function: Callable[..., Result], *arguments: object) -> Callable[..., Result]:
    """Return a compiled function for arguments of the types of these ones, as a function that does not look at types.

    To find the machine code for nested tuples of arrays takes longer than many a loop. The result must not be called
    with arguments of other types, dimensions or memory layouts, since it takes them for those.
    """
    kinds = [numba.typeof(argument) for argument in arguments]  # type: ignore[no-untyped-call]
    code = cast(Any, function).compile(tuple(kinds))
    return cast("Callable[..., Result]", code)


def constant(value: int) -> int:
    """Return an integer that compiled functions take as any other.

    A plain one is a type of its own to numba, which compiles a function again for every literal argument.
    """
    return np.int64(value)  # type: ignore[return-value]


@cache
def _load_numba() -> None:
    """Load numba's functions of arrays, without the matrix products for which it would import `scipy.linalg`.

    That takes as long as numba itself, and no compiled loop multiplies matrices. Numba has no setting for it: it asks
    whether scipy is there by importing it.
    """
    with without("scipy.linalg.cython_blas"):
        importlib.import_module("numba.np.arraymath")


class SourceCache(FunctionCache):
    """numba's cache of one function, discarded when a source file changes that its machine code may come from.

    Machine code contains the functions and constants of other modules that it uses, but numba looks only at the file
    that defines the function. Of processes that miss the same function at once, as the workers of an engine do after an
    installation, one compiles it, and the others wait.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        stamp = source_digest(Path(inspect.getfile(function)))
        self._cache_file = IndexDataCacheFile(  # type: ignore[no-untyped-call]
            self._cache_path, self._impl.filename_base, (self._impl.locator.get_source_stamp(), stamp)
        )
        self._turn: ExitStack | None = None
        """Holds the lock of the function while this process compiles it."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the machine code of a signature; None if this process has to compile it."""
        _load_numba()
        found = super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        if found is None and self._turn is None:
            self._turn = ExitStack()
            # A function is compiled while its callers are, and none is its own caller: so the waits form no circle.
            with suppress(OSError):  # a file system without locks
                lock = Path(self._cache_path, f"{self._impl.filename_base}.lock")
                self._turn.enter_context(exclusive(lock))
            found = super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
            if found is not None:
                self._end_turn()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write the machine code of a signature."""
        try:
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]
        finally:
            self._end_turn()

    def _end_turn(self) -> None:
        if self._turn is not None:
            self._turn.close()
            self._turn = None


PACKAGES = ("tokenization", "modeling", "registry", "flows")
"""The packages whose modules are followed. `infra` holds nothing that is compiled; other distributions change with
their versions only."""
_IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+import\s+(\([^)]*\)|[^\n(]*)|import\s+([\w.]+))", re.MULTILINE)


@cache
def sources_of(path: Path) -> tuple[Path, ...]:
    """Return the module in a file and all that it imports, directly or through others, in one order always."""
    found, pending = {path}, [path]
    while pending:
        new = set(_imported_by(pending.pop())) - found
        found |= new
        pending += new
    return tuple(sorted(found))


@cache
def _imported_by(path: Path) -> tuple[Path, ...]:
    """Return the files of the modules of PACKAGES that a module's import statements may mean."""
    names = []
    for source, imported, plain in _IMPORT.findall(path.read_text()):
        names += [plain] if plain else [source, *(f"{source}.{word}" for word in re.findall(r"\w+", imported))]
    files = (_file_of(name) for name in names if name.split(".")[0] in PACKAGES)
    return tuple(file for file in files if file)


@cache
def _file_of(module: str) -> Path | None:
    place = Path(__file__).parents[1].joinpath(*module.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


def source_digest(path: Path) -> str:
    """Return a digest of the module in a file and of all that it imports, in hexadecimal."""
    return hashlib.sha256(b"".join(map(_digest_of, sources_of(path)))).hexdigest()


@cache
def _digest_of(path: Path) -> bytes:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).digest()
