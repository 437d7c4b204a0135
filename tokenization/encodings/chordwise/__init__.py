"""The chordwise encoding: the notes of one tick are one token, where they make a chord that was learned.

`bach piano start tempo90 chord(piano:v72:C4+piano:v72:E4) wait:48 chord(piano:v72:D4+piano:v0:E4) … end`

A chord names all notes that sound from its tick on, each either struck now or (`v0`) held; a note that it does not name
ends. Where a combination is none of the learned chords, its changes are written as `combined` writes them, so nothing
is lost. Source: OpenAI, "MuseNet" (2019), "every combination of notes sounding at one time".

`encoding` holds the class, `learning` finds chords in pieces, `matching` and `expansion` are the two directions between
plain tokens and chords, and `rules` is the grammar of chords.
"""

from tokenization.encodings.chordwise.encoding import Chordwise

__all__ = ["Chordwise"]
