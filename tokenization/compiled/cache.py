"""Machine code on disk: numba's cache, discarded when a source file changes that the code may come from."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache, IndexDataCacheFile

from infra.imports import without
from infra.locks import exclusive
from tokenization.compiled.sources import source_digest


@cache
def _load_numba() -> None:
    """Load numba's functions of arrays, without the matrix products for which it would import `scipy.linalg`.

    That takes as long as numba itself, and no compiled loop multiplies matrices. Numba has no setting for it: it asks
    whether scipy is there by importing it.
    """
    with without("scipy.linalg.cython_blas"):
        importlib.import_module("numba.np.arraymath")


class SourceCache(FunctionCache):  # type: ignore[misc]
    """numba's cache of one function, discarded when a source file changes that its machine code may come from.

    Machine code contains the functions and constants of other modules that it uses, but numba looks only at the file
    that defines the function. Of processes that miss the same function at once, as the workers of an engine do after an
    installation, one compiles it, and the others wait.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__(function)
        stamp = source_digest(Path(inspect.getfile(function)))
        self._cache_file = IndexDataCacheFile(
            self._cache_path, self._impl.filename_base, (self._impl.locator.get_source_stamp(), stamp)
        )
        self._turn: ExitStack | None = None
        """Holds the lock of the function while this process compiles it."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the machine code of a signature; None if this process has to compile it, until `end_turn`."""
        _load_numba()
        found = super().load_overload(sig, target_context)
        if found is None and self._turn is None:
            self._turn = ExitStack()
            with suppress(OSError):  # a file system without locks
                lock = Path(self._cache_path, f"{self._impl.filename_base}.lock")
                self._turn.enter_context(exclusive(lock))
            found = super().load_overload(sig, target_context)
        return found

    def end_turn(self) -> None:
        """Let other processes compile the function, once this one has done so, has failed or need not."""
        if self._turn is not None:
            self._turn.close()
            self._turn = None
