"""The two collections that the demo ingests, so that a first run needs no music of one's own.

`FREEDOOM` is shipped with the package: the soundtrack of the game Freedoom, with its licence. `classical` converts
the other one on the user's machine from scores in the `music21` package.
"""

from pathlib import Path

FREEDOOM = Path(__file__).parent / "freedoom"
"""Folder of Freedoom's MIDI files; its `SOURCES.md` names their origin."""
