"""How well the first beats of real music tell its metre to a recall: see `modeling.controls.recall`.

    python tests/benchmarks/metre.py --corpus DIR [--json FILE]

Of every MIDI file below DIR with one time signature, in duple or triple time, the notes of the first beats are written
down as a growing piece's are. Printed are the share of each that is told rightly, and the area under the ROC curve.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import symusic
import torch
from report import circumstances, table, write_json
from sklearn.metrics import roc_auc_score

from modeling.controls.recall import METRE_BEATS, TRIPLE, empty_score, likeness_of_triple, note_down, tell_metre
from tokenization.measures.passage import Passage
from tokenization.midi import MidiError, read_midi

BEAT = 24
"""Ticks."""
IN_TRIPLE = {Fraction(3), Fraction(3, 2), Fraction(6), Fraction(9, 2)}
IN_DUPLE = {Fraction(4), Fraction(2), Fraction(8)}
"""Quarter notes of a bar."""


def pieces(corpus: Path) -> Iterator[tuple[bool, Passage]]:
    """Yield the pieces with one time signature, and whether that is triple."""
    for path in sorted(each for each in corpus.rglob("*") if each.suffix.lower() in (".mid", ".midi")):
        try:
            signatures = {(each.numerator, each.denominator) for each in symusic.Score(path).time_signatures}
            notes = read_midi(path.read_bytes())
        except (MidiError, RuntimeError):
            continue
        bars = {Fraction(4 * numerator, denominator) for numerator, denominator in signatures}
        if len(bars) == 1 and len(notes) and not bars.isdisjoint(IN_TRIPLE | IN_DUPLE):
            yield bars <= IN_TRIPLE, Passage(notes.taken(np.argsort(notes.onset, kind="stable")))


def heard(passage: Passage) -> tuple[bool, float]:
    """Return whether a passage is taken for triple, and by how much."""
    score = empty_score(1)
    ticks = np.rint((passage.beats - np.floor(passage.beats[0])) * BEAT).astype(np.int64)[passage.onset_of]
    for tick, pitch in zip(ticks.tolist(), passage.notes.pitch.tolist()):
        if tick >= METRE_BEATS * BEAT:
            break
        note_down(score, 0, tick, BEAT, 0, pitch)
    tell_metre(score, 0)
    return bool(score.bar[0] == TRIPLE), float(likeness_of_triple(score, 0))


def main() -> int:
    """Print how many pieces are told rightly."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = [(is_triple, *heard(passage)) for is_triple, passage in pieces(options.corpus)]
    truth, told, likeness = (np.array(column) for column in zip(*found))
    result = {
        "auc": float(roc_auc_score(truth, likeness)),
        "triple told": float(told[truth].mean()),
        "duple taken for triple": float(told[~truth].mean()),
    }
    print(f"{len(found):,} pieces, {truth.mean():.0%} in triple time")
    print(table(("figure", "value"), [(name, f"{value:.2f}") for name, value in result.items()]))
    if options.json is not None:
        write_json(options.json, circumstances(torch.device("cpu")), result, [])
    return 0


if __name__ == "__main__":
    sys.exit(main())
