"""Entries: instruments that were asked for by name are heard, each early enough to take part in the music.

Starts of notes of a part become likelier as the planned length passes, so that the network chooses the moment, until it
has sounded a few times. A required part that the network has not let in by DUE enters at the next tick at which the
grammar and the limits let it; until then the piece does not end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modeling.controls.tables import NONE, id_table, part_starts
from tokenization.compiled import compiled
from tokenization.encodings import HEADER, Encoding

DUE = 0.5
"""Share of the planned tokens at which the bonus is greatest, and behind which a required part enters."""
REQUIRED, SUGGESTED = 12.0, 4.0
"""Greatest bonus in nats."""
NOTES = 8
"""Notes after which a part is left to itself; each takes away as much of the bonus."""
ENTRY_TOKENS = 4
"""Tokens that an entry takes at most: a wait, a tempo, the note, its end or length. So many are left for each part."""


class Entries:
    """The parts of a batch of pieces that are still to be heard."""

    def __init__(
        self,
        encoding: Encoding,
        parts: NDArray[np.bool_],
        playable: NDArray[np.bool_],
        within: NDArray[np.bool_] | None,
        is_required: bool,
    ) -> None:
        """Start a batch of pieces.

        `parts`: the instruments of each part, any of which lets it be heard, shape (parts, instruments). `playable`:
        those that may play in each piece, shape (batch, instruments). `within`: the ids that the limits leave, shape
        (ids,); None: all. A part that they leave no note is not waited for.
        """
        self._starts = part_starts(encoding, parts)
        self._starts_any: NDArray[np.bool_] = id_table(encoding).instrument != NONE
        limited = self._starts if within is None else self._starts & within[:, None]
        may_sound = (playable[:, None] & parts).any(axis=2) & limited.any(axis=0)
        self._left = np.where(may_sound, NOTES, 0)
        """Notes with which a part has a bonus, NOTES of one that is silent so far, shape (batch, parts)."""
        self._struck = np.zeros_like(may_sound)
        """Parts that struck a note at this tick, whose next one has no bonus: it would be a chord more often."""
        self._passes: NDArray[np.bool_] = encoding.effects.ticks > 0
        self._strongest = REQUIRED if is_required else SUGGESTED
        self._is_required, self._end = is_required, int(encoding.vocabulary.end)

    @property
    def are_awaited(self) -> bool:
        """True if a part of any piece is still to be heard."""
        return bool(self._left.any())

    def apply(
        self, logits: NDArray[np.float32], may: NDArray[np.bool_], filled: int, planned: NDArray[np.int64]
    ) -> None:
        """Adjust logits and take ids out of `may`, both of shape (batch, ids), in place.

        `filled`: tokens of each piece so far; `planned`: tokens that each will have, shape (batch,).
        """
        limits = self._strongest, self._is_required, self._end
        silent, bonus = self._left == NOTES, np.where(self._struck, 0, self._left / NOTES)
        _apply(logits, may, silent, bonus, self._starts, self._starts_any, filled, planned, *limits)

    def advance(self, tokens: NDArray[np.int64]) -> None:
        """Remember the next token of every piece, shape (batch,)."""
        if not self.are_awaited:
            return
        starts = self._starts[tokens]
        self._struck = starts | (self._struck & ~self._passes[tokens][:, None])
        self._left = np.maximum(self._left - starts, 0)

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Keep these pieces, in this order; one that is named more than once is copied."""
        self._left, self._struck = self._left[rows], self._struck[rows]


@compiled
def _apply(
    logits: NDArray[np.float32],
    may: NDArray[np.bool_],
    silent: NDArray[np.bool_],
    bonus: NDArray[np.float64],
    starts: NDArray[np.bool_],
    starts_any: NDArray[np.bool_],
    filled: int,
    planned: NDArray[np.int64],
    strongest: float,
    is_required: bool,
    end: int,
) -> None:
    """Adjust as `Entries.apply` says. `silent` and `bonus`, a share of the strongest: of each part."""
    for row in range(len(may)):
        missing = silent[row].sum()
        share = (filled - HEADER) / max(planned[row] - HEADER, 1)
        nats = strongest * min(share / DUE, 1.0)
        is_late = share >= DUE or planned[row] - filled <= ENTRY_TOKENS * (missing + 1)
        entering, starting, going_on = False, False, False
        for token in range(may.shape[1]):
            if not may[row, token]:
                continue
            if starts_any[token]:
                logits[row, token] += np.float32(nats * _share_of(token, bonus[row], starts))
                if _enters(token, silent[row], starts):
                    entering = True
                else:
                    starting = True
            elif token != end:
                going_on = True
        if not (is_required and missing and (entering or starting or going_on)):
            continue
        may[row, end] = False
        if not (is_late and (entering or going_on)):
            continue
        for token in range(may.shape[1]):  # where none can enter, as when too many sound, no other starts before it
            if may[row, token] and (entering or starts_any[token]) and not _enters(token, silent[row], starts):
                may[row, token] = False


@compiled
def _share_of(token: int, bonus: NDArray[np.float64], starts: NDArray[np.bool_]) -> float:
    """Return the greatest bonus of the parts that sound with an id."""
    found = 0.0
    for part in range(len(bonus)):
        if starts[token, part]:
            found = max(found, bonus[part])
    return found


@compiled
def _enters(token: int, silent: NDArray[np.bool_], starts: NDArray[np.bool_]) -> bool:
    """Return True if a part that has not sounded yet sounds with an id."""
    for part in range(len(silent)):  # noqa: SIM110 (numba compiles no `any` of a generator)
        if silent[part] and starts[token, part]:
            return True
    return False
