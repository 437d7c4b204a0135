"""The soundfont that the page plays with: General MIDI, small enough for a browser.

SoundFont 3 is SoundFont 2 with compressed samples, which players in browsers read and few others do.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "MUSENET_SOUNDFONT"
PLACES = (
    ("/usr/share/sounds/sf3/FluidR3Mono_GM.sf3", "MIT"),
    ("/usr/share/sounds/sf3/MuseScore_General_Lite.sf3", "MIT"),
    ("/usr/share/sounds/sf3/default-GM.sf3", "see its package"),
    ("/usr/share/sounds/sf2/TimGM6mb.sf2", "GPL-2.0"),
)
"""Where Linux distributions install such soundfonts, and their licences."""
UNKNOWN = "licence not known"
PACKAGED_LICENCE = "GPL-2.0"
LARGEST = 64 * 2**20
"""Bytes that are sent to a browser at most."""


@dataclass(frozen=True)
class Soundfont:
    """A file of instruments."""

    path: Path
    licence: str


def find_soundfont() -> Soundfont | None:
    """Return the soundfont that `$MUSENET_SOUNDFONT` names, else one that is installed; None where there is none."""
    return next((found for found in _candidates() if _is_soundfont(found.path)), None)


def _candidates() -> Iterator[Soundfont]:
    named = os.environ.get(VARIABLE)
    if named:
        yield Soundfont(Path(named).expanduser(), UNKNOWN)
    for place, licence in PLACES:
        yield Soundfont(Path(place), licence)
    # The package pretty_midi, of the extra `audio`, ships one; it is looked for without importing it.
    packaged = importlib.util.find_spec("pretty_midi")
    if packaged is not None and packaged.origin is not None:
        yield Soundfont(Path(packaged.origin).parent / "TimGM6mb.sf2", PACKAGED_LICENCE)


def _is_soundfont(path: Path) -> bool:
    try:
        if path.stat().st_size > LARGEST:
            return False
        with path.open("rb") as file:
            head = file.read(12)
    except OSError:
        return False
    return head[:4] == b"RIFF" and head[8:12] == b"sfbk"
