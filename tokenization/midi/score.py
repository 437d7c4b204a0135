"""A score: the notes of one file in ticks, with its tempo map.

Encodings in seconds, encodings in beats and fingerprints all start from a score, so a file is read once; as bytes a
score can be kept in a column of a table.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tokenization.compiled import compiled
from tokenization.midi.notes import Notes, TempoMap
from tokenization.midi.repairs import Repair, repairs_of
from tokenization.midi.standard import MICROSECONDS_PER_MINUTE

LARGEST: Final = 2**31 - 1
"""Ticks at most, of a start and of a length, in a score as bytes."""
_HEAD = struct.Struct("<4sIIIII")
_MAGIC = b"Sco2"


@dataclass(frozen=True, eq=False)
class Score:
    """The notes of one file. Note columns have shape (n,), ordered by start, pitch, drum, program, velocity, length."""

    start: NDArray[np.int64]
    """Ticks, ascending."""
    length: NDArray[np.int64]
    """Ticks that the key is down; never negative."""
    pitch: NDArray[np.uint8]
    """MIDI key, 0–127."""
    velocity: NDArray[np.uint8]
    """1–127."""
    program: NDArray[np.uint8]
    """General MIDI program, 0–127; without meaning for drums."""
    drum: NDArray[np.bool_]
    tempo_ticks: NDArray[np.int64]
    """Ticks at which a tempo begins, shape (m,): first 0, strictly ascending."""
    tempo_beats: NDArray[np.float64]
    """Microseconds per quarter note from each of `tempo_ticks` on; positive."""
    ticks_per_beat: int
    repairs: tuple[Repair, ...] = ()
    """The faults that were mended, sorted, without doubles."""
    sustained: NDArray[np.int64] | None = None
    """Ticks that the note sounds with the sustain pedal, shape (n,), at least `length`; None: `length` throughout."""

    def __len__(self) -> int:
        return len(self.start)

    def to_notes(self, sustain: bool = False) -> Notes:
        """Return the notes in seconds; `tempo` is the one that holds longest while notes sound, in seconds.

        Of tempos that hold equally long the fastest counts. Onsets are ascending as the starts are. `sustain`: notes
        last as long as the sustain pedal holds them, not as long as their keys are down.
        """
        length = self.length if self.sustained is None or not sustain else self.sustained
        by_tempo = np.argsort(self.tempo_beats, kind="stable")
        onset, duration, beat, seconds, beats = _seconds(
            self.start, length, self.tempo_ticks, self.tempo_beats, by_tempo, self.ticks_per_beat
        )
        tempo = MICROSECONDS_PER_MINUTE / beat
        tempo_map = TempoMap(seconds, MICROSECONDS_PER_MINUTE / beats) if len(beats) > 1 else None
        return Notes(onset, duration, self.pitch, self.velocity, self.program, self.drum, tempo, tempo_map)

    def to_bytes(self) -> bytes:
        """Return a compact form: the tempo map, starts as int32 differences, lengths as int32, bytes for the rest.

        If there are lengths with the pedal, their differences to the lengths follow as int32. Little-endian on every
        machine. Raises OverflowError if a tick is beyond 2³¹ - 1.
        """
        more = np.empty(0, np.int64) if self.sustained is None else self.sustained - self.length
        # The last of ascending ticks is the greatest.
        greatest = *self.start[-1:], *self.tempo_ticks[-1:], self.length.max(initial=0), more.max(initial=0)
        if max(greatest) > LARGEST:
            raise OverflowError(f"a score as bytes has ticks up to {LARGEST}")
        steps = self.start.astype("<i4")
        steps[1:] -= steps[:-1].copy()
        bits = sum(repair.bit for repair in self.repairs)
        return b"".join(
            (
                _HEAD.pack(_MAGIC, len(self), len(self.tempo_ticks), self.ticks_per_beat, bits, len(more)),
                self.tempo_beats.astype("<f8").tobytes(),
                self.tempo_ticks.astype("<i4").tobytes(),
                steps.tobytes(),
                self.length.astype("<i4").tobytes(),
                self.pitch.tobytes(),
                self.velocity.tobytes(),
                self.program.tobytes(),
                self.drum.tobytes(),
                more.astype("<i4").tobytes(),
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Score:
        """Return the score of which `to_bytes` made these bytes. Raises ValueError for others."""
        view = memoryview(data).cast("B")
        if len(view) < _HEAD.size or view[:4] != _MAGIC:
            raise ValueError("these bytes are no score")
        _, n, m, ticks_per_beat, bits, held = _HEAD.unpack_from(view)
        if len(view) != _HEAD.size + 12 * (n + m) + 4 * held or held not in (0, n):
            raise ValueError(f"a score of {n} notes and {m} tempos is not {len(view)} bytes long")
        tempo_beats = np.frombuffer(view, "<f8", m, _HEAD.size)
        at = _HEAD.size + 8 * m
        ticks = np.frombuffer(view, "<i4", m + 2 * n, at)
        at += 4 * len(ticks)
        pitch, velocity, program, drum = np.frombuffer(view, np.uint8, 4 * n, at).reshape(4, n)
        length = ticks[m + n :].astype(np.int64)
        return cls(
            start=np.cumsum(ticks[m : m + n], dtype=np.int64),
            length=length,
            pitch=pitch,
            velocity=velocity,
            program=program,
            drum=drum.view(np.bool_),
            tempo_ticks=ticks[:m].astype(np.int64),
            tempo_beats=tempo_beats.astype(np.float64),
            ticks_per_beat=ticks_per_beat,
            repairs=repairs_of(bits),
            sustained=length + np.frombuffer(view, "<i4", n, at + 4 * n) if held else None,
        )


@compiled
def segment(begins: NDArray[Any], value: float) -> int:
    """Return the index of the last of the ascending `begins` that is not above `value`; the first one is not."""
    low, high = 0, len(begins)
    while high - low > 1:
        middle = (low + high) // 2
        if begins[middle] <= value:
            low = middle
        else:
            high = middle
    return low


@compiled
def _seconds(
    start: NDArray[np.int64],
    length: NDArray[np.int64],
    tempo_ticks: NDArray[np.int64],
    tempo_beats: NDArray[np.float64],
    by_tempo: NDArray[np.int64],
    ticks_per_beat: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], float, NDArray[np.float64], NDArray[np.float64]]:
    """Return onsets and durations in seconds, the microseconds per beat that hold longest up to the last note's end,
    and the tempo map: the seconds where tempos begin, and their microseconds per beat.

    `by_tempo`: the order of the tempo changes by their beats, and by tick where those are equal.
    """
    n, m = len(start), len(tempo_ticks)
    per_tick, begins = np.empty(m), np.empty(m)
    second = 0.0
    for i in range(m):
        per_tick[i] = tempo_beats[i] / (1e6 * ticks_per_beat)
        if i > 0:
            second += (tempo_ticks[i] - tempo_ticks[i - 1]) * per_tick[i - 1]
        begins[i] = second
    onset, duration = np.empty(n), np.empty(n)
    last = np.int64(0)
    at = 0  # the tempo in force at the note's start
    for i in range(n):
        while at + 1 < m and tempo_ticks[at + 1] <= start[i]:
            at += 1
        end = start[i] + length[i]
        last = max(last, end)
        until = at
        if until + 1 < m and tempo_ticks[until + 1] <= end:
            until = segment(tempo_ticks, end)
        onset[i] = begins[at] + (start[i] - tempo_ticks[at]) * per_tick[at]
        duration[i] = max(begins[until] + (end - tempo_ticks[until]) * per_tick[until] - onset[i], 0.0)
    if m == 1:
        return onset, duration, tempo_beats[0], begins, tempo_beats
    spans = np.empty(m)
    for i in range(m):
        until_tick = tempo_ticks[i + 1] if i + 1 < m else last
        spans[i] = (min(until_tick, last) - min(tempo_ticks[i], last)) * per_tick[i]
    longest, held, total = tempo_beats[by_tempo[0]], -1.0, 0.0
    for i in range(m):
        total += spans[by_tempo[i]]
        if i + 1 == m or tempo_beats[by_tempo[i + 1]] != tempo_beats[by_tempo[i]]:
            if total > held:
                longest, held = tempo_beats[by_tempo[i]], total
            total = 0.0
    different = 0
    seconds, beats = np.empty(m), np.empty(m)
    for i in range(m):
        if different > 0 and begins[i] == seconds[different - 1]:
            different -= 1  # so short that it takes no time at this precision
        if different == 0 or tempo_beats[i] != beats[different - 1]:
            seconds[different], beats[different] = begins[i], tempo_beats[i]
            different += 1
    return onset, duration, longest, seconds[:different], beats[:different]
