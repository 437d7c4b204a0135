"""Jobs: requests that are answered in turns, from the queue to their answer."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from infra.errors import RunError
from tokenization.vocabulary import Tokens

if TYPE_CHECKING:
    from modeling.generation import Step, Turns

Result = TypeVar("Result")


class Decoder(Protocol):
    """What computes the next tokens of all jobs of a model."""

    def run(self) -> int:
        """Make a pass; return its tokens."""
        ...


class Told(NamedTuple):
    """A step, as the decoder tells of it."""

    numbers: list[int]
    """Of the candidates that have a token in it."""
    step: Step


class Cancelled(RunError):
    """A job whose client has gone."""


class Job(Generic[Result]):
    """A request. The scheduler's thread changes it, others read it; `cancel` is the scheduler's."""

    def __init__(self, rows: int, decoder: Decoder, make: Callable[[Job[Result]], Turns[Result]]) -> None:
        """`rows`: of the decoder, at most. `make`: returns the work, which may look at the job."""
        self.rows, self.decoder = rows, decoder
        self.future: Future[Result] = Future()
        self.ends = math.inf
        """Time by the scheduler's clock at which no more tokens are drawn."""
        self.cut: str | None = None
        """Why no more tokens are drawn, if the work has been told so."""
        self.begun: float | None = None
        """Time at which the work began."""
        self.is_cancelled = False
        self.aside: Future[Any] | None = None
        """What is done for it elsewhere."""
        self.given: Tokens | None = None
        """The tokens that all candidates begin with, once they are known."""
        self.told: deque[Told] = deque()
        """Steps that nobody has taken yet; they are kept for a listener only."""
        self.progress = (0, 1)
        """Tokens drawn, and tokens in all."""
        self.work = make(self)
