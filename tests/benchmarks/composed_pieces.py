"""Rules that every composed piece keeps, checked on many of them.

    python tests/benchmarks/composed_pieces.py [--lake DIR] [--model champion] [--pieces 1000] [--seconds 30] [--json F]

Requests are drawn at random and answered as for any user, BATCH candidates each: a style, instruments, a length in
seconds, bars or tokens, instruments as a requirement or (one in three) as suggestions, and one of the limits on key,
pitch, velocity and voices, or none. Bars: every piece is MIDI that mido and symusic read with equal notes, no note
hangs, no silence is longer than four seconds, every piece has its end, what was required is kept in every note, all
required groups sound, and 95 % end within 5 % of the time asked for. Of suggestions is reported how many of the notes
they play, and in how many pieces all asked groups sound.

With `--costs ROUNDS` nothing of this is checked, but the processor time of a token is compared with and without a limit
on voices, in turns, for one piece and for BATCH at once.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import mido
import numpy as np
import symusic
import torch
from numpy.typing import NDArray
from report import Bar, circumstances, show_bars, write_json

from modeling.controls import Controls
from modeling.controls.keys import parse_key
from registry import load
from registry.composer import Composer
from registry.piece import Piece
from registry.requests import PieceRequest
from tokenization.encodings import Encoding
from tokenization.encodings.grammar import LONGEST_REST
from tokenization.encodings.grid import Grid
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary

BATCH = 8
INSTRUMENTS = (("piano",), ("piano", "strings"), ("piano", "bass", "drums"), ("winds",), ("guitar", "bass"))
"""Sets of groups that are asked for; those that the vocabulary has."""
LIMITS: tuple[dict[str, Any], ...] = (
    {},
    {"key": "D minor", "strict_key": True},
    {"lowest": 48, "highest": 72},
    {"softest": 60, "loudest": 90},
    {"most_voices": 3},
)
TEMPO = 100.0
"""Of pieces with a length in bars."""
ROUNDING = 1e-6
"""Seconds."""


def hanging_notes(midi: bytes) -> int:
    """Count note-ons without a note-off, and note-offs without a note-on."""
    wrong = 0
    for track in mido.MidiFile(file=io.BytesIO(midi)).tracks:
        sounding: Counter[tuple[int, int]] = Counter()
        for message in track:
            if message.type == "note_on" and message.velocity:
                sounding[message.channel, message.note] += 1
            elif message.type in ("note_on", "note_off"):
                sounding[message.channel, message.note] -= 1
                wrong += sounding[message.channel, message.note] < 0
        wrong += sum(count for count in sounding.values() if count > 0)
    return wrong


def longest_silence(notes: Notes) -> float:
    """Return the longest time in which nothing sounds between the first and the last note."""
    order = np.argsort(notes.onset)
    onset, end = notes.onset[order], np.maximum.accumulate((notes.onset + notes.duration)[order])
    return float(np.max(onset[1:] - end[:-1], initial=0.0))


def is_read_alike(piece: Piece) -> bool:
    """Return True if both libraries find the notes of the piece in its file."""
    by_mido = sum(m.type == "note_on" and m.velocity > 0 for m in mido.MidiFile(file=io.BytesIO(piece.midi)))
    by_symusic = sum(len(track.notes) for track in symusic.Score.from_midi(piece.midi).tracks)
    return by_mido == by_symusic == len(piece.notes) > 0


def broken_limits(controls: Controls, grid: Grid, encoding: Encoding) -> list[str]:
    """Return which limits a piece does not keep."""
    vocabulary = encoding.vocabulary
    pitched = ~vocabulary.row_is_drum[grid.row]
    pitch, velocity = grid.pitch[pitched].astype(int), vocabulary.row_velocity[grid.row].astype(int)
    owner = vocabulary.row_instrument[grid.row]
    broken = []
    if controls.strict_key and controls.key and not parse_key(controls.key)[pitch % 12].all():
        broken.append("key")
    if ((pitch < controls.lowest) | (pitch > controls.highest)).any():
        broken.append("pitch")
    for instrument in np.unique(owner):
        low, high = nearest_steps(vocabulary, int(instrument), controls.softest, controls.loudest)
        if ((velocity < low) | (velocity > high))[owner == instrument].any():
            broken.append("velocity")
            break
    if controls.most_voices is not None and most_together(grid, pitched, encoding) > controls.most_voices:
        broken.append("voices")
    return broken


def nearest_steps(vocabulary: Vocabulary, instrument: int, *bounds: int) -> list[int]:
    """Return the velocities of an instrument that are nearest to some bounds."""
    steps = vocabulary.row_velocity[vocabulary.row_instrument == instrument].astype(int)
    steps = steps[steps > 0]
    return [int(steps[np.abs(steps - bound).argmin()]) for bound in bounds]


def most_together(grid: Grid, pitched: NDArray[np.bool_], encoding: Encoding) -> int:
    """Return the most pitched notes that sound at a time, or start at one where lengths are not written."""
    start, end = grid.start[pitched], grid.end[pitched]
    if not encoding.keeps_lengths:
        return int(np.unique(start, return_counts=True)[1].max(initial=0))
    begun = np.searchsorted(np.sort(start), start, side="right")
    over = np.searchsorted(np.sort(end), start, side="right")
    return int((begun - over).max(initial=0))


def drawn_request(random: np.random.Generator, vocabulary: Vocabulary, seconds: float, tokens: int) -> PieceRequest:
    """Draw a request."""
    groups = [names for names in INSTRUMENTS if set(names) <= set(vocabulary.groups)]
    bars = {"bars": round(seconds * TEMPO / 60 / 4), "tempo": TEMPO}
    lengths: tuple[dict[str, Any], ...] = ({"seconds": seconds}, bars, {"length": tokens})
    return PieceRequest(
        style=str(random.choice(vocabulary.styles)),
        instruments=groups[random.integers(len(groups))],
        require=bool(random.integers(3)),
        rank="none",
        seed=int(random.integers(2**31)),
        **lengths[random.integers(len(lengths))],
        **LIMITS[random.integers(len(LIMITS))],
    )


def show_costs(composer: Composer, tokens: int, rounds: int) -> None:
    """Print what a limit on voices costs: BATCH pieces alone and together, by the fastest of the rounds of each."""
    for batch in (1, BATCH):
        spent = np.empty((rounds + 1, BATCH // batch, 2))
        for turn in np.ndindex(*spent.shape):
            limits = {"most_voices": 3} if turn[-1] else {}
            candidates = {"best_of": batch, "candidate": turn[1] * batch}
            request = PieceRequest.of({"length": tokens, "rank": "none", **candidates, **limits})
            began = time.process_time()
            pieces = composer.candidates(request)
            spent[turn] = (time.process_time() - began) / sum(len(piece.tokens) for piece in pieces)
        free, limited = spent[1:].min(axis=0).mean(axis=0) * 1e6  # in the first round code is compiled
        print(f"{batch} at once: {free:.0f} µs a token, {limited:.0f} with a limit ({limited / free - 1:+.1%})")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--lake")
    arguments.add_argument("--model", default="champion")
    arguments.add_argument("--pieces", type=int, default=1000)
    arguments.add_argument("--seconds", type=float, default=30.0)
    arguments.add_argument("--tokens", type=int, default=512)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--costs", type=int, metavar="ROUNDS")
    arguments.add_argument("--json", type=Path)
    options = arguments.parse_args()
    composer = load(options.model, lake=options.lake)
    if options.costs:
        show_costs(composer, options.tokens, options.costs)
        return
    encoding, vocabulary = composer.encoding, composer.encoding.vocabulary
    random = np.random.default_rng(options.seed)
    checks: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    limited: Counter[str] = Counter()
    apart, silences = list[float](), list[float]()
    shares, complete = defaultdict[bool, list[float]](list), defaultdict[bool, list[bool]](list)
    """By whether instruments were required: of the notes, those of instruments asked for; whether all groups sound."""
    number = 0
    while number < options.pieces:
        request = drawn_request(random, vocabulary, options.seconds, options.tokens)
        request = request.model_copy(update={"best_of": min(BATCH, options.pieces - number)})
        asked = vocabulary.named_instruments(request.instruments)
        for piece in composer.candidates(request):
            notes, grid = piece.notes, encoding.read(encoding.expand(piece.tokens))
            silences.append(longest_silence(notes))
            checks["valid"] += is_read_alike(piece)
            checks["closed"] += hanging_notes(piece.midi) == 0
            checks["silence"] += silences[-1] <= LONGEST_REST + ROUNDING
            checks["ended"] += int(piece.tokens[-1]) == vocabulary.end
            plays = vocabulary.row_instrument[grid.row]
            shares[request.require].append(float(asked[plays].mean()))
            complete[request.require].append(not piece.unheard)
            found = broken_limits(request, grid, encoding)
            checks["limits"] += not found
            broken.update(found)
            if request.time is not None:
                apart.append(abs(notes.seconds / request.time - 1))
        limited.update(request.model_fields_set & {"key", "lowest", "softest", "most_voices"})
        number += request.best_of
        print(f"{number} of {options.pieces}", file=sys.stderr, flush=True)
    names = {
        "valid": "read by mido and symusic with equal notes",
        "closed": "no note hangs",
        "silence": f"no silence beyond {LONGEST_REST:g} s",
        "ended": "with an end",
        "limits": "every note within the limits on key, pitch, velocity and voices",
    }
    bars = [Bar(text, checks[key] / options.pieces, 1.0) for key, text in names.items()]
    bars.append(Bar("only instruments that were required", float(np.mean(np.array(shares[True]) == 1)), 1.0))
    bars.append(Bar("all groups that were required sound", float(np.mean(complete[True])), 1.0))
    bars.append(Bar("length within 5 % of the time asked for", float(np.mean(np.array(apart) <= 0.05)), 0.95))
    print(f"the longest silence: {max(silences):.2f} s; {len(apart)} pieces with a length in time")
    print(f"requests with limits: {dict(limited)}; limits broken in pieces: {dict(broken) or 'none'}")
    for is_required, what in ((True, "required"), (False, "suggested")):
        if shares[is_required]:
            share, whole = np.mean(shares[is_required]), np.mean(complete[is_required])
            print(
                f"instruments {what} in {len(shares[is_required])} pieces: {share:.1%} of the notes are theirs, ",
                end="",
            )
            print(f"and all groups sound in {whole:.1%} of the pieces")
    figures = {
        "notes of suggested instruments": float(np.mean(shares[False])) if shares[False] else None,
        "pieces with all suggested groups": float(np.mean(complete[False])) if complete[False] else None,
        "longest silence": max(silences),
    }
    if options.json:
        write_json(options.json, circumstances(torch.device("cpu")), {"pieces": options.pieces, **figures}, bars)
    sys.exit(show_bars(bars))


if __name__ == "__main__":
    main()
