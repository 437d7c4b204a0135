"""MuseNet's combined encoding: one token for instrument, velocity and pitch, waits between.

`bach piano_strings start tempo90 piano:v72:G1 … wait:12 piano:v0:B5 … end`

Source: OpenAI, "MuseNet" (2019), the encoding that the published model uses.
"""

from __future__ import annotations

from tokenization.encodings.encoding import Encoding


class Combined(Encoding):
    """Starts and ends of notes."""

    name = "combined"
    version = 2
    writes_ends = True
