"""The table of requests for uncurated samples: one candidate for each style and seed, of which none is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def sample_table_of(styles: Sequence[str], count: int) -> dict[str, list[Any]]:
    """Return the table: `count` seeds of each style, or of none where a model has no styles."""
    return {**({"style": [*styles]} if styles else {}), "seed": [*range(count)]}


def uncurated(seconds: float) -> dict[str, Any]:
    """Return the fields of all its requests."""
    return {"seconds": seconds, "best_of": 1, "rank": "none"}
