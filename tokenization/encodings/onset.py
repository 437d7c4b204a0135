"""The onset encoding: only the starts of notes, waits between.

`bach piano start tempo90 piano:v72:G1 piano:v72:D4 wait:64 piano:v72:G4 … end`

Half the tokens of `combined`, at the price of the notes' lengths: decoded, a note lasts until its instrument's next
start, a second or two beats at most. Source: OpenAI, "MuseNet" (2019), "only focusing on the starts of notes".
"""

from __future__ import annotations

from tokenization.encodings.encoding import Encoding


class Onset(Encoding):
    """Starts of notes."""

    name = "onset"
    version = 1
    writes_ends = False
