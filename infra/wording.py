"""Words of messages that depend on numbers."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun, in the singular for one: `1 note`, `2,000 notes`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
