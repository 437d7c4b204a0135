"""The interface of executors."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Fields = NDArray[np.int64]
"""Token ids, their structure features and their texture; first axis FIELDS."""
Rows = NDArray[np.int64]
Floats = NDArray[np.float32]


class DecodingState(Protocol):
    """A batch of pieces that are being decoded: cached keys and values, and the logits of the next tokens."""

    logits: Floats
    """Shape (rows, ids or more); ids follow by their number."""
    cached: int
    """Positions in the cache, of every row."""
    is_ready: bool
    """True if `logits` follow the latest tokens; of an executor that is shared, once it has run."""

    def decode_step(self, latest: Fields) -> None:
        """Append the latest token of every row, shape (FIELDS, rows), and update the logits."""
        ...

    def keep(self, rows: Rows) -> None:
        """Keep these rows, in this order; one that is named more than once is copied."""
        ...

    def release(self) -> None:
        """Give back the rows; nothing is asked of the state afterwards."""
        ...


class Executor(Protocol):
    """A network that is ready to decode."""

    listens: bool
    """True if it reads the texture of tokens; where it does not, those fields are zeros."""

    def prefill(self, windows: Fields, capacity: int) -> DecodingState:
        """Run windows of shape (FIELDS, rows, positions); the cache has room for `capacity` positions a row."""
        ...
