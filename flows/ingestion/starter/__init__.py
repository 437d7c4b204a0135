"""The two collections that the demo ingests, so that a first run needs no music of one's own.

`freedoom/` is shipped with the package: the soundtrack of the game Freedoom, with its licence beside it.
`classical` makes the other one on the user's machine from scores that the `music21` package carries.
"""

from pathlib import Path

FREEDOOM = Path(__file__).parent / "freedoom"
"""The folder of Freedoom's MIDI files; `SOURCES.md` there says where they come from."""
