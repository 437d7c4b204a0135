"""Damaged music, noise and an n-gram, as the measures of music see them; and the time that measuring takes.

    python tests/benchmarks/measures.py --corpus DIR [--pieces 128] [--references 32] [--seed 0] [--json FILE]

Real pieces of the corpus are drawn into four sets: held-out ones, others for the floor, those to damage, and those that
an n-gram learns from. Every damage is one that a listener hears. Printed are the distances of the damaged pieces from
held-out ones as multiples of the floor: of the measure that the damage is meant for, and of the one that sees most.

Bars: each damage is at least twice the floor by the measure that it is meant for, undamaged pieces are at the floor,
the n-gram and noise are further away than real pieces, and measuring and resampling are fast. Damages that none is
meant for are reported without a bar.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from report import Bar, circumstances, show_bars, table, write_json

from flows.evaluation.baselines.executors import ngram_executor, noise_executor
from flows.evaluation.baselines.ngram import NGram
from flows.evaluation.compare import GroupSets, compare
from flows.evaluation.report import GroupReport
from modeling.generation import Growth, SamplingConfig, complete
from modeling.generation.executors import Executor
from tokenization.damages import (
    Damage,
    bars_reversed,
    bars_shuffled,
    bass_displaced,
    durations_permuted,
    keys_of_halves_apart,
    notes_to_cap,
    one_chord,
    one_pitch,
    onsets_jittered,
    pitches_permuted,
    silence_inside,
    top_line,
    transposed,
    twice_as_fast,
    wrong_notes,
)
from tokenization.encodings import HEADER, Encoding
from tokenization.encodings.combined import Combined
from tokenization.measures import Collected, Extract, collect, measure
from tokenization.midi import MidiError, Notes, read_midi
from tokenization.vocabulary import Vocabulary

CAP = 8.0
LENGTH = 1024
CONTEXT = 10**6
ORDER = 5
RESAMPLES = 1000
MEDIAN_AT_FLOOR = 1.5


@dataclass(frozen=True)
class Case:
    """A damage with the measures of which one at least is meant to see it."""

    damage: Damage
    meant: tuple[str, ...]


CASES = (
    Case(pitches_permuted, ("interval", "harmony")),
    Case(wrong_notes, ("scale_share", "pitch_class")),
    Case(one_pitch, ("longest_run", "pitch_entropy")),
    Case(one_chord, ("longest_stay",)),
    Case(notes_to_cap, ("capped", "polyphony")),
    Case(onsets_jittered, ("onset_grid", "notes_per_onset")),
    Case(durations_permuted, ("polyphony", "harmony")),
    Case(bars_shuffled, ("bar_order",)),
    Case(bass_displaced, ("harmony",)),
    Case(silence_inside, ("longest_silence",)),
    Case(top_line, ("notes_per_onset",)),
    Case(twice_as_fast, ("onset_interval", "density")),
    Case(keys_of_halves_apart, ("scale_share",)),
    Case(bars_reversed, ()),
    Case(transposed, ()),
)


def measured(pieces: Sequence[Notes], extract: Extract | None = None) -> Collected:
    return collect([measure(piece, extract, cap=CAP) for piece in pieces])


def against(samples: Collected, held_out: Collected, real: Collected, resamples: int = 10) -> GroupReport:
    return compare({"all": GroupSets(samples, held_out, real)}, resamples, seed=0)[1]


def damaged_report(
    case: Case, pieces: Sequence[Notes], held_out: Collected, real: Collected, seed: int = 0, resamples: int = 10
) -> GroupReport:
    """Compare damaged pieces with held-out ones."""
    random, part = np.random.default_rng(seed), Extract()
    damaged = [case.damage(part.of(piece), random) for piece in pieces]
    return against(measured(damaged), held_out, real, resamples)


def seen(report: GroupReport, names: Sequence[str]) -> float:
    """Return the largest multiple of the floor among some measures; a distance above a floor of 0 is without end."""
    found = [each for each in report.measures if each.measure in names]
    return max(
        (float("inf") if each.distance.value > 0 else 1.0) if each.multiple is None else each.multiple for each in found
    )


def composed(executor: Executor, encoding: Encoding, headers: np.ndarray, seed: int) -> list[Notes]:
    """Compose pieces of a baseline under some headers."""
    growth = Growth(executor, CONTEXT, encoding, headers, [LENGTH] * len(headers), SamplingConfig(), seed)
    return [encoding.decode(piece) for piece in complete(growth)]


def read_pieces(corpus: Path, count: int, encoding: Encoding, random: np.random.Generator) -> list[Notes]:
    """Read files drawn at random, quantised as a dataset's are, with a dozen notes at least."""
    files = sorted(corpus.rglob("*.mid"))
    pieces = []
    for index in random.permutation(len(files)).tolist():
        try:
            notes = encoding.quantised(read_midi(files[index].read_bytes()))
        except (MidiError, ValueError):
            continue
        if int((~notes.drum).sum()) >= 64:
            pieces.append(notes)
        if len(pieces) == count:
            return pieces
    raise SystemExit(f"{corpus} has {len(pieces)} usable pieces of {count}; take fewer by --pieces")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True, help="folder of MIDI files")
    parser.add_argument("--pieces", type=int, default=128, help="pieces of each set (default 128)")
    parser.add_argument("--references", type=int, default=32, help="pieces of n-gram and noise (default 32)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    encoding = Combined(Vocabulary.load("musenet"))
    pieces = read_pieces(arguments.corpus, 4 * arguments.pieces, encoding, random)
    kept, others, victims, learned = (pieces[part::4] for part in range(4))
    measured(kept[:1])
    held_out, real = measured(kept), measured(others)

    begun = time.process_time()
    untouched = measured(victims)
    per_piece = (time.process_time() - begun) / len(victims)
    begun = time.process_time()
    plain = against(untouched, held_out, real, RESAMPLES)
    resampling = time.process_time() - begun
    longest = max(pieces, key=len)
    begun = time.process_time()
    measure(longest, Extract(notes=None))
    whole = (time.process_time() - begun) / len(longest)

    rows, bars, figures = [], [], {}

    def add(name: str, report: GroupReport, meant: Sequence[str]) -> None:
        most = max(report.measures, key=lambda each: each.multiple or 0.0)
        by_meant = f"{seen(report, meant):.1f}" if meant else ""
        above = sum(each.is_above_floor for each in report.measures)
        cells = [
            ", ".join(meant),
            by_meant,
            f"{most.measure} {most.multiple:.1f}",
            f"{report.multiple:.1f}",
            str(above),
        ]
        rows.append([name, *cells])
        figures[name] = {each.measure: each.multiple for each in report.measures}

    add("none", plain, ())
    for case in CASES:
        name = case.damage.__name__.replace("_", " ")
        report = damaged_report(case, victims, held_out, real, arguments.seed, RESAMPLES)
        add(name, report, case.meant)
        if case.meant:
            bars.append(Bar(f"{name}, by {' or '.join(case.meant)}", min(seen(report, case.meant), 1e3), 2.0))
    headers = np.stack([encoding.encode(piece)[:HEADER] for piece in kept[: arguments.references]])
    ngram = NGram([encoding.encode(piece) for piece in learned], encoding.vocabulary.size, ORDER)
    sources = {"n-gram": ngram_executor(ngram), "noise": noise_executor(encoding.vocabulary.size)}
    for name, executor in sources.items():
        found = measured(composed(executor, encoding, headers, arguments.seed))
        report = against(found, held_out, real, RESAMPLES)
        add(name, report, ())
        bars.append(Bar(f"{name}: median multiple of the floor", report.multiple or 0.0, 2 * (plain.multiple or 1.0)))
    heads = ["damage", "meant to be seen by", "× floor", "seen most by", "median × floor", "measures above it"]
    print(table(heads, rows))
    bars.append(Bar("undamaged pieces: limit over the median multiple", MEDIAN_AT_FLOOR / (plain.multiple or 1.0), 1.0))
    bars.append(Bar("pieces of 256 notes measured a second", 1 / per_piece, 100.0))
    bars.append(Bar("notes of a whole piece measured a millisecond", 1 / whole / 1000, 200.0))
    bars.append(Bar("comparisons with 1,000 resamples a minute", 60 / resampling, 10.0))
    if arguments.json:
        write_json(arguments.json, circumstances(torch.device("cpu")), {"multiples": figures}, bars)
    return show_bars(bars)


if __name__ == "__main__":
    sys.exit(main())
