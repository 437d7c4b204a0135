"""Loops over notes and bytes as machine code, compiled by numba at their first call and cached on disk.

For a parser's state machine or a sweep over sounding notes, array operations of numpy would make many passes over
memory. Such a loop is written out and compiled. Only the first use after an installation, or after an edit of
a module that the loop's own imports, pays for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from tokenization.compiled.dispatcher import Loop

Function = TypeVar("Function", bound=Callable[..., object])
Result = TypeVar("Result")


def compiled(function: Function) -> Function:
    """Return `function` as cached machine code that releases the interpreter's lock; used as a decorator."""
    return cast(Function, Loop(function))


def compiled_arithmetic(function: Function) -> Function:
    """Return `function` as by `compiled`, with sums in whatever order is fastest on this processor.

    For floating-point loops: sums are split among the lanes of vector registers, products fused with them, and division
    by zero gives infinity. Calls of one compiled loop with equal lengths still give equal bits.
    """
    return cast(Function, Loop(function, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy"))


@compiled
def put(values: NDArray[Any], target: NDArray[Any], start: int) -> None:
    """Put values into an array of one dimension from a place on.

    In compiled loops: an assignment of a slice to a slice takes seconds to compile, for the message that their lengths
    differ.
    """
    for index in range(len(values)):
        target[start + index] = values[index]


def machine_code(function: Callable[..., Result], *arguments: object) -> Callable[..., Result]:
    """Return a compiled function for arguments of the types of these ones, as a function that does not look at types.

    To find the machine code for nested tuples of arrays takes longer than many a loop. The result must not be called
    with arguments of other types, dimensions or memory layouts, since it takes them for those.
    """
    kinds = [numba.typeof(argument) for argument in arguments]
    code = cast(Any, function).compile(tuple(kinds))
    return cast("Callable[..., Result]", code)


def constant(value: int) -> int:
    """Return an integer that compiled functions take as any other.

    A plain one is a type of its own to numba, which compiles a function again for every literal argument.
    """
    return np.int64(value)  # type: ignore[return-value]
