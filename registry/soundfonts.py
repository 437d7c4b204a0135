"""The soundfonts of this machine: files of General MIDI instruments, SoundFont 2 or 3, with their licences.

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
    ("/usr/share/sounds/sf2/default-GM.sf2", "see its package"),
    ("/usr/share/sounds/sf2/FluidR3_GM.sf2", "MIT"),
    ("/usr/share/sounds/sf2/TimGM6mb.sf2", "GPL-2.0"),
    ("/usr/share/soundfonts/default.sf2", "see its package"),
)
"""Where Linux distributions install them, and their licences."""
UNKNOWN = "licence not known"
PACKAGED_LICENCE = "GPL-2.0"


@dataclass(frozen=True)
class InstalledSoundfont:
    """A soundfont and its licence."""

    path: Path
    licence: str

    @property
    def is_valid(self) -> bool:
        """True if the file can be read and is a soundfont."""
        try:
            with self.path.open("rb") as file:
                return is_soundfont(file.read(12))
        except OSError:
            return False


def is_soundfont(data: bytes) -> bool:
    """True if a file begins like a soundfont."""
    return data[:4] == b"RIFF" and data[8:12] == b"sfbk"


def soundfonts() -> Iterator[InstalledSoundfont]:
    """Yield the soundfont that `$MUSENET_SOUNDFONT` names, then those that are installed; some may not exist."""
    named = os.environ.get(VARIABLE)
    if named:
        yield InstalledSoundfont(Path(named).expanduser(), UNKNOWN)
    for place, licence in PLACES:
        yield InstalledSoundfont(Path(place), licence)
    # The package pretty_midi, of the extra `audio`, ships one; it is looked for without importing it.
    packaged = importlib.util.find_spec("pretty_midi")
    if packaged is not None and packaged.origin is not None:
        yield InstalledSoundfont(Path(packaged.origin).parent / "TimGM6mb.sf2", PACKAGED_LICENCE)
