"""Fingerprints: features of a piece that survive transposition, another tempo, other instruments, and a cut.

`note_hash` is equal for equal notes only. `fingerprint` holds *sketches* of a piece's voices, by which `compare`
measures how much of one piece is in another, where, in which key and at which tempo.

A *voice* is a melodic line: the top notes of the whole piece, and of each of its instruments that is no bass. A
*feature* is five notes of a voice, in order, at most one left out between two of them: the four pitch intervals. Every
such choice is a feature, so lost and added notes spoil some and leave others. A *sketch* keeps the features of the
smallest hashes (bottom-k sketch; Broder, "On the resemblance and containment of documents", 1997), so two sketches
sample the same features wherever their hashes are below the lower of their limits, and the share of them that is
common estimates resemblance and containment. Each entry remembers where its feature begins, at which pitch, and how
long it lasts: features that two pieces share by their common stock of phrases are scattered, those of the same music
lie in one order, in one key, at one tempo (the idea of landmark fingerprints; Wang, "An industrial-strength audio
search algorithm", 2003).
"""

from tokenization.fingerprint.exact import note_hash
from tokenization.fingerprint.matching import Match, compare
from tokenization.fingerprint.voices import VERSION, fingerprint

__all__ = ["VERSION", "Match", "compare", "fingerprint", "note_hash"]
