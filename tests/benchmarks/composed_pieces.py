"""Rules that every composed piece keeps, checked on many of them.

    python tests/benchmarks/composed_pieces.py [--lake DIR] [--model champion] [--pieces 1000] [--seconds 30] [--json F]

Pieces are composed with a registered model in all its styles, one candidate each, half of them with a length in time;
of every three batches two require their instruments and one takes them for suggestions, as a request does by default.
Bars: every piece is MIDI that mido and symusic read with equal notes, no note hangs, only instruments that were
required play, no silence is longer than four seconds, every piece has its end, and 95 % end within 5 % of the time
asked for. Of suggestions is reported how many of the notes they play, and in how many pieces all asked groups sound.
"""

from __future__ import annotations

import argparse
import io
import itertools
import sys
from collections import Counter
from pathlib import Path

import mido
import numpy as np
import symusic
import torch
from report import Bar, circumstances, show_bars, write_json

from modeling.generation import ExecutorConfig, SamplingConfig, generate
from modeling.generation.direction import Direction
from registry import load
from tokenization.encodings.grammar import LONGEST_REST
from tokenization.midi.notes import Notes
from tokenization.midi.writing import write_midi

BATCH = 32
INSTRUMENTS = (("piano",), ("piano", "strings"), ("piano", "bass", "drums"), ("winds",), ("guitar", "bass"))
"""Sets of groups that are asked for in turn; those that the vocabulary has."""
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


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--lake")
    arguments.add_argument("--model", default="champion")
    arguments.add_argument("--pieces", type=int, default=1000)
    arguments.add_argument("--seconds", type=float, default=30.0)
    arguments.add_argument("--tokens", type=int, default=512)
    arguments.add_argument("--json", type=Path)
    options = arguments.parse_args()
    composer = load(options.model, lake=options.lake)
    encoding, vocabulary, bundle = composer.encoding, composer.encoding.vocabulary, composer.bundle
    groups = [names for names in INSTRUMENTS if set(names) <= set(vocabulary.groups)]
    executor = bundle.executor(ExecutorConfig())
    checks: Counter[str] = Counter()
    lengths, silences = [], []
    shares: dict[bool, list[float]] = {False: [], True: []}
    """Of the notes, those of instruments that were asked for; by whether they were suggestions."""
    complete: dict[bool, list[bool]] = {False: [], True: []}
    number = 0
    kinds = itertools.cycle(itertools.product(vocabulary.styles, groups, (False, True)))
    for (style, names, timed), is_open in zip(kinds, itertools.cycle((False, False, True))):
        if number >= options.pieces:
            break
        count = min(BATCH, options.pieces - number)
        header = [
            vocabulary.style_id(style),
            vocabulary.instrumentation_id(vocabulary.group_mask(names)),
            vocabulary.start,
            vocabulary.tempo_id(120),
        ]
        prompts = np.tile(np.array(header, np.uint16), (count, 1))
        tokens = composer.pace.tokens(style, options.seconds) if timed else options.tokens
        direction = Direction(seconds=options.seconds if timed else None, is_open=is_open)
        pieces = generate(
            bundle.model,
            encoding,
            prompts,
            [tokens] * count,
            SamplingConfig(),
            number,
            direction=direction,
            executor=executor,
        )
        playable = vocabulary.instruments_of(prompts[:1, 1])[0]
        for piece in pieces:
            notes = encoding.decode(piece)
            midi = write_midi(notes)
            grid = encoding.read(encoding.expand(piece))
            by_mido = sum(m.type == "note_on" and m.velocity > 0 for m in mido.MidiFile(file=io.BytesIO(midi)))
            by_symusic = sum(len(track.notes) for track in symusic.Score.from_midi(midi).tracks)
            silences.append(longest_silence(notes))
            checks["valid"] += by_mido == by_symusic == len(notes) > 0
            checks["closed"] += hanging_notes(midi) == 0
            plays = vocabulary.row_instrument[grid.row]
            shares[is_open].append(float(playable[plays].mean()))
            heard = np.bincount(plays, minlength=len(playable)) > 0
            complete[is_open].append(all((heard & vocabulary.named_instruments((name,))).any() for name in names))
            checks["silence"] += silences[-1] <= LONGEST_REST + ROUNDING
            checks["ended"] += int(piece[-1]) == vocabulary.end
            if timed:
                lengths.append(notes.seconds / options.seconds)
        number += count
        print(f"{number} of {options.pieces}", file=sys.stderr, flush=True)
    within = float(np.mean(np.abs(np.array(lengths) - 1) <= 0.05))
    names = {
        "valid": "read by mido and symusic with equal notes",
        "closed": "no note hangs",
        "silence": f"no silence beyond {LONGEST_REST:g} s",
        "ended": "with an end",
    }
    bars = [Bar(text, checks[key] / options.pieces, 1.0) for key, text in names.items()]
    bars.append(Bar("only instruments that were required", float(np.mean(np.array(shares[False]) == 1)), 1.0))
    bars.append(Bar("length within 5 % of the time asked for", within, 0.95))
    print(f"the longest silence: {max(silences):.2f} s")
    for is_open, what in ((False, "required"), (True, "suggested")):
        if shares[is_open]:
            share, whole = np.mean(shares[is_open]), np.mean(complete[is_open])
            print(f"instruments {what}: {share:.1%} of the notes; all of them sound in {whole:.1%} of the pieces")
    figures = {
        "notes of suggested instruments": float(np.mean(shares[True])) if shares[True] else None,
        "pieces with all suggested groups": float(np.mean(complete[True])) if complete[True] else None,
        "longest silence": max(silences),
    }
    if options.json:
        write_json(options.json, circumstances(torch.device("cpu")), {"pieces": options.pieces, **figures}, bars)
    sys.exit(show_bars(bars))


if __name__ == "__main__":
    main()
