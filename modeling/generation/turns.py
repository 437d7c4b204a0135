"""Work in turns: a generator that pauses, so that it can be done at a stretch or in turn with other work.

It yields None where others may have their turn, and a function where that may be called elsewhere in the meantime: what
the function returns is sent back. What the generator returns is the result.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeAlias, TypeVar

Result = TypeVar("Result")
Aside: TypeAlias = Callable[[], Any]
"""A function that may be called elsewhere."""
Turns: TypeAlias = Generator[Aside | None, Any, Result]


def at_a_stretch(work: Turns[Result]) -> Result:
    """Do work without a pause; return its result."""
    answer = None
    while True:
        try:
            aside = work.send(answer)
        except StopIteration as done:
            result: Result = done.value
            return result
        answer = None if aside is None else aside()
