"""Loops over notes and bytes as machine code.

Where an array operation of numpy would make many passes over memory (a parser's state machine, a sweep over
sounding notes), the loop is written out and compiled by numba. Compiled code is cached beside the module, so only
the first use after an installation pays for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba
import numpy as np

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Decorate a function: run it as cached machine code that releases the interpreter's lock."""
    return cast(Function, numba.njit(cache=True, nogil=True)(function))


def constant(value: int) -> int:
    """Return an integer that compiled functions take as any other.

    A plain one is a type of its own to numba, which compiles a function again for every literal argument.
    """
    return np.int64(value)  # type: ignore[return-value]
