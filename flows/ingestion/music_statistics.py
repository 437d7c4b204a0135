"""Additive statistics: counts over pieces, so that those of a dataset are the sum of those of its pieces.

Each worker sums over its pieces and the parent process over the workers. All counts are whole numbers (lengths in
milliseconds), so the sum is the same in any order and on any number of machines.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.midi.notes import Notes
from tokenization.vocabulary import PITCHES, ROWS, Tokens, Vocabulary

TOTALS = ("pieces", "notes", "tokens", "units", "milliseconds")
KEYED = {"pitch": PITCHES, "velocity": PITCHES, "program": PITCHES, "drum_key": PITCHES, "row": ROWS}
"""Counts by a number from 0. `pitch` and `program` are of pitched notes, `drum_key` of drum hits, `velocity` of both;
`row` counts tokens by the vocabulary's row of 128 ids: instrument and velocity, 0 for its note-offs. `units` are
learned tokens: chords or merges."""

FIRST_OCTAVE, OCTAVES = -6, 10
_MINUTES = (60, 90, 120, 180, 240, 300, 420, 600, 900, 1200, 1800, 3600)
HISTOGRAMS: dict[str, tuple[float, ...]] = {
    "note_seconds": tuple(2.0 ** (FIRST_OCTAVE + step // 2) * (1.5 if step % 2 else 1) for step in range(2 * OCTAVES)),
    "wait_ticks": (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128),
    "piece_seconds": (5, 10, 15, 20, 30, 45, *_MINUTES),
    "piece_tokens": tuple(2**power for power in range(6, 19)),
    "tempo": tuple(range(30, 310, 10)),
    "notes_per_second": (0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64),
    "sounding_notes": (0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 12, 16),
}
"""Edges of the bins: n edges bound n + 1 bins, the first below all of them, the last from the last one on; a value on
an edge is in the bin above it. `note_seconds` (pitched notes only) and `wait_ticks` count notes and wait tokens, the
others pieces. `tempo` is in quarter notes a minute; `sounding_notes` is the average number of pitched notes that
sound at a time."""


def _layout() -> dict[str, slice]:
    """Return the slice of each count in the array that holds all of them."""
    sizes = dict.fromkeys(TOTALS, 1) | KEYED | {name: len(edges) + 1 for name, edges in HISTOGRAMS.items()}
    slices, first = {}, 0
    for name, size in sizes.items():
        slices[name] = slice(first, first + size)
        first += size
    return slices


LAYOUT = _layout()
SIZE = max(place.stop for place in LAYOUT.values())

FIRST: dict[str, int] = {name: place.start for name, place in LAYOUT.items()}
_PITCH, _VELOCITY, _PROGRAM, _DRUM, _ROW, _NOTE, _WAIT, _UNITS = (
    FIRST[name] for name in ("pitch", "velocity", "program", "drum_key", "row", "note_seconds", "wait_ticks", "units")
)
_TIMES = len(HISTOGRAMS["note_seconds"])
_LAST_WAIT = int(HISTOGRAMS["wait_ticks"][-1])
_WAIT_BIN = np.searchsorted(np.array(HISTOGRAMS["wait_ticks"]), np.arange(_LAST_WAIT + 1), side="right")
HALF_OCTAVE_SHIFT = 51
"""Bits of a double below its exponent and the first binary digit of its fraction."""
_FIRST_HALF_OCTAVE = int(np.float64(2.0**FIRST_OCTAVE).view(np.int64)) >> HALF_OCTAVE_SHIFT


@compiled
def _tally_notes(
    counts: NDArray[np.int64],
    onset: NDArray[np.float64],
    duration: NDArray[np.float64],
    bits: NDArray[np.int64],
    pitch: NDArray[np.uint8],
    velocity: NDArray[np.uint8],
    program: NDArray[np.uint8],
    drum: NDArray[np.bool_],
) -> tuple[float, float]:
    """Count notes; `bits` are the durations' bits. Returns the end of the last note and the seconds of sound."""
    end = 0.0
    sound = 0.0
    for i in range(len(onset)):
        end = max(end, onset[i] + duration[i])
        counts[_VELOCITY + velocity[i]] += 1
        if drum[i]:
            counts[_DRUM + pitch[i]] += 1
            continue
        counts[_PITCH + pitch[i]] += 1
        counts[_PROGRAM + program[i]] += 1
        sound += duration[i]
        # The edges are 2^k and 1.5 · 2^k, so a duration's exponent and first binary digit are its bin.
        step = (bits[i] >> HALF_OCTAVE_SHIFT) - _FIRST_HALF_OCTAVE + 1
        counts[_NOTE + min(max(step, 0), _TIMES)] += 1
    return end, sound


@compiled
def _tally_tokens(
    counts: NDArray[np.int64], tokens: Tokens, note_end: int, wait_base: int, max_wait: int, learned_base: int
) -> None:
    """Count note tokens by row, waits by length, and units."""
    for i in range(len(tokens)):
        token = int(tokens[i])
        if token < note_end:
            counts[_ROW + token // PITCHES] += 1
        elif token - wait_base <= max_wait:
            counts[_WAIT + _WAIT_BIN[min(token - wait_base, _LAST_WAIT)]] += 1
        elif token >= learned_base:
            counts[_UNITS] += 1


@dataclass(frozen=True, eq=False)
class Statistics:
    """Counts over pieces; `Statistics()` counts none, and `a + b` counts the pieces of both."""

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(SIZE, np.int64))
    """All counts, shape (SIZE,), each in its slice of LAYOUT."""

    @classmethod
    def of(cls, notes: Notes, tokens: Tokens, vocabulary: Vocabulary) -> Statistics:
        """Count one piece: its notes as they were parsed, and its tokens."""
        counts = np.zeros(SIZE, np.int64)
        bits = notes.duration.view(np.int64)
        columns = (notes.pitch, notes.velocity, notes.program, notes.drum)
        end, sound = _tally_notes(counts, notes.onset, notes.duration, bits, *columns)
        bounds = (vocabulary.note_end, vocabulary.wait_base, vocabulary.max_wait, vocabulary.learned_base)
        _tally_tokens(counts, tokens, *bounds)
        for name, value in zip(TOTALS, (1, len(notes), len(tokens), counts[_UNITS], round(end * 1000))):
            counts[FIRST[name]] = value
        of_piece: dict[str, float] = {
            "piece_seconds": end,
            "piece_tokens": len(tokens),
            "tempo": notes.tempo,
            "notes_per_second": len(notes) / end if end else 0.0,
            "sounding_notes": sound / end if end else 0.0,
        }
        for name, value in of_piece.items():
            counts[FIRST[name] + bisect_right(HISTOGRAMS[name], value)] += 1
        return cls(counts)

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(self.counts + other.counts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Statistics) and bool(np.array_equal(self.counts, other.counts))

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, name: str) -> NDArray[np.int64]:
        """Return the counts of one name in KEYED (shape: its size) or HISTOGRAMS (one more than its edges)."""
        return self.counts[LAYOUT[name]]

    @property
    def pieces(self) -> int:
        return int(self["pieces"][0])

    @property
    def notes(self) -> int:
        """Pitched notes and drum hits."""
        return int(self["notes"][0])

    @property
    def tokens(self) -> int:
        return int(self["tokens"][0])

    @property
    def seconds(self) -> float:
        """Sum of the pieces' lengths, each to a millisecond."""
        return int(self["milliseconds"][0]) / 1000

    def token_kinds(self, vocabulary: Vocabulary) -> dict[str, int]:
        """Count tokens by kind; the kinds add up to all tokens."""
        row = self["row"][: len(vocabulary.row_velocity)]
        off = vocabulary.row_velocity == 0
        drum = vocabulary.row_is_drum
        kinds = {
            "note": int(row[~off & ~drum].sum()),
            "note-off": int(row[off].sum()),
            "drum hit": int(row[drum].sum()),
            "wait": int(self["wait_ticks"].sum()),
        }
        if vocabulary.learned:
            kinds[str(vocabulary.learned.kind)] = int(self["units"][0])
        return kinds | {"header, tempo, end": self.tokens - sum(kinds.values())}

    def instrument_notes(self, vocabulary: Vocabulary) -> dict[str, int]:
        """Count notes and drum hits by the vocabulary's instrument."""
        programs = self["program"]
        sums = np.bincount(vocabulary.program_instrument, programs, len(vocabulary.instruments)).astype(np.int64)
        sums[vocabulary.drum_instrument] += self["drum_key"].sum()
        return {instrument.name: count for instrument, count in zip(vocabulary.instruments, sums.tolist())}

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON values. Lists by number begin at 0 and end with their last count that is not 0."""
        keyed = {name: np.trim_zeros(self[name], "b").tolist() for name in KEYED}
        histograms = {name: {"edges": list(edges), "counts": self[name].tolist()} for name, edges in HISTOGRAMS.items()}
        return {name: int(self[name][0]) for name in TOTALS} | keyed | histograms

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Statistics:
        """Convert from what `to_dict` returned. Raises ValueError for histograms with other bins than this module's."""
        counts = np.zeros(SIZE, np.int64)
        for name, place in LAYOUT.items():
            found = data[name]
            if name in HISTOGRAMS:
                if found["edges"] != list(HISTOGRAMS[name]):
                    raise ValueError(f"the statistics of {name} have other bins: {found['edges']}")
                found = found["counts"]
            values = np.atleast_1d(np.asarray(found, np.int64))
            counts[place.start : place.start + len(values)] = values
        return cls(counts)
