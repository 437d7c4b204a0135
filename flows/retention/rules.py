"""The rules of a collection: how many versions stay, and from which age on anything goes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from infra.errors import UserError

UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@dataclass(frozen=True)
class RetentionRules:
    """What is kept besides all that is referred to."""

    keep: int = 1
    """Newest versions of each dataset that stay, at least 1."""
    older_than: timedelta = timedelta(days=7)
    """Nothing younger is removed."""
    samples: bool = False
    """True to remove composed pieces, too."""


def parse_age(text: str) -> timedelta:
    """Parse `7d`, `12h`, `30m` or `2w`. Raises UserError."""
    found = re.fullmatch(r"(\d{1,6})([mhdw])", text.strip())
    if found is None:
        raise UserError(f"{text!r} is no age; write a number and a unit: 30m, 12h, 7d, 2w")
    return int(found[1]) * UNITS[found[2]]
