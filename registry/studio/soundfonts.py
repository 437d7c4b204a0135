"""The soundfont that the page plays with: small enough for a browser."""

from __future__ import annotations

from registry.soundfonts import InstalledSoundfont, soundfonts

LARGEST = 64 * 2**20
"""Bytes that are sent to a browser at most."""


def find_soundfont() -> InstalledSoundfont | None:
    """Return the first soundfont of this machine that is one and not too large; None where there is none."""
    return next((found for found in soundfonts() if found.is_valid and found.path.stat().st_size <= LARGEST), None)
