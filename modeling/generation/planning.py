"""Planning: the number of tokens that a piece of a given length in time will have, corrected as the piece goes on.

The network knows where in a piece it is by the planned number of tokens: the part and the countdown follow from it. So
the plan is what makes an ending come in time. Its estimate of tokens a second is at first that of the request, and
soon that of the music so far.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tokenization.encodings import HEADER, Encoding
from tokenization.encodings.ending import Ending
from tokenization.encodings.grid import LEGATO_TICKS
from tokenization.encodings.rules import NO_BOUND

PRIOR_SECONDS = 10.0
"""Seconds of music that the first estimate is worth."""
EARLIEST, LATEST = 0.97, 1.03
"""Shares of the length in time between which a piece ends."""
MARGIN = 4
"""Most tokens of a piece with a length in time, as a multiple of the first estimate."""
ENDING_TOKENS = 2
"""Tokens planned besides note-offs once no more notes start."""


class Clock:
    """The time in seconds of a batch of pieces whose ticks pass."""

    def __init__(self, encoding: Encoding, batch: int) -> None:
        self._speed = encoding.speeds
        self._tempo = np.zeros(batch, np.int64)
        self.now = np.zeros(batch, np.int64)
        """Ticks of each piece."""
        self.elapsed = np.zeros(batch)
        """Seconds of each piece."""

    @property
    def speed(self) -> NDArray[np.float64]:
        """Ticks a second of each piece."""
        return self._speed[self._tempo]

    def advance(self, now: NDArray[np.int64], tempo: NDArray[np.int64]) -> None:
        """Go on to the ticks `now`, at which the tempo becomes that of the buckets `tempo`; shape (batch,)."""
        self.elapsed = self.elapsed + (now - self.now) / self.speed
        self.now, self._tempo = now.copy(), tempo.copy()

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Keep these pieces, in this order; one that is named more than once is copied."""
        self.now, self.elapsed, self._tempo = self.now[rows], self.elapsed[rows], self._tempo[rows]


class TimePlan:
    """The plan of a batch of pieces that last `seconds` by their clock.

    `tokens`: the first estimate of their number of tokens, shape (batch,), of which they have MARGIN times as many at
    most.
    """

    def __init__(self, clock: Clock, seconds: float, tokens: NDArray[np.int64], keeps_lengths: bool) -> None:
        self.clock, self.seconds = clock, seconds
        # Where lengths are not written the last notes sound for a while when all tokens are there.
        self._tail = 0 if keeps_lengths else LEGATO_TICKS
        self._rate = np.maximum(tokens - HEADER, 1) / seconds
        self._capacity = MARGIN * tokens

    def tokens(self, offs: NDArray[np.int64], filled: int) -> NDArray[np.int64]:
        """Return the planned tokens of each piece, `filled` of which there are, and `offs` note-offs to come."""
        elapsed = self.clock.elapsed
        rate = (self._rate * PRIOR_SECONDS + max(filled - HEADER, 0)) / (PRIOR_SECONDS + elapsed)
        left = np.maximum(self._ends_at(1.0) - elapsed, 0)
        planned = filled + left * rate + offs + ENDING_TOKENS
        return np.minimum(planned, self._capacity).astype(np.int64)

    def ending(self) -> Ending:
        """Return where the pieces end, as seen from here."""

        def tick(share: float) -> NDArray[np.int64]:
            left = (self._ends_at(share) - self.clock.elapsed) * self.clock.speed
            return self.clock.now + np.ceil(left).astype(np.int64)

        is_time = self.clock.elapsed >= self._ends_at(EARLIEST)
        earliest = np.where(is_time, 0, NO_BOUND)
        return Ending(earliest, self._capacity, tick(1.0), tick(LATEST))

    def _ends_at(self, share: float) -> NDArray[np.float64]:
        """Return the seconds at which all tokens are there for a piece of a share of its length."""
        ends: NDArray[np.float64] = share * self.seconds - self._tail / self.clock.speed
        return ends

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Keep these pieces, in this order; one that is named more than once is copied."""
        self._rate, self._capacity = self._rate[rows], self._capacity[rows]
