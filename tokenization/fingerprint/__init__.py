"""Fingerprints: what stays of a piece when it is transposed, re-timed, re-orchestrated, quantised or cut.

`note_hash` is equal for equal notes only. `fingerprint` is a MinHash (Broder, "On the resemblance and containment of
documents", 1997): the share of equal values in two fingerprints estimates how much of their features two pieces share.
Only the low 16 bits of each minimum are kept (Li, König, "b-bit minwise hashing", 2010), two in a word: chance makes
one value in 65,536 equal, and a word is what two pieces must have in common to be compared at all.

A feature is a short run of pitch intervals along a contour of the piece. All pitched notes count as one voice, in
order of onset, chords from the lowest to the highest note; instruments, velocities and durations are ignored. A
contour consists of the notes that are the highest (another contour: the lowest) among the `reach` notes before and
after them; equal neighbours in it count once. Windows are counted in notes, not in seconds: the contour is the same at
any tempo, and notes that a quantiser moves by a place or two seldom change it.

    reach 12, 6   the coarse outline: survives quantisation of free playing and different performances of one score
    reach 2       finer; for pieces with too few wide peaks
    reach 0       every note; for short tunes

Fine levels are full of features that quantising or dropping notes destroys, so only as many of them are kept as the
coarser levels leave wanting: a feature is kept if its hash is under a rate that falls smoothly with the number of
features of the next coarser level. A rate, not a switch: two pieces of almost equal size keep almost the same.
"""

from tokenization.fingerprint.exact import note_hash
from tokenization.fingerprint.minhash import SIZE, VALUES, VERSION, fingerprint, similarity, values

__all__ = ["SIZE", "VALUES", "VERSION", "fingerprint", "note_hash", "similarity", "values"]
