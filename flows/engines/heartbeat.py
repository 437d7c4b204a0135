"""Heartbeat of a worker process: the item it works on and since when, in memory shared with its parent."""

from __future__ import annotations

import time
from typing import Any

NO_ITEM = -1
"""Item of a worker that is between items."""


class Heartbeat:
    """The current item of a worker and the time of its start; written by the worker, read by its parent."""

    def __init__(self, cells: Any) -> None:
        """Use `cells`, two shared doubles: the item and the start in seconds of the machine's monotonic clock."""
        self._cells = cells

    def at(self, item: int) -> None:
        """Record the start of an item (NO_ITEM: of none)."""
        self._cells[1] = time.monotonic()
        self._cells[0] = item

    @property
    def item(self) -> int:
        """Index of the current item in its job, or NO_ITEM."""
        return int(self._cells[0])

    @property
    def seconds(self) -> float:
        """Time since the start of the current item."""
        return time.monotonic() - float(self._cells[1])
