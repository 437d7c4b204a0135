"""Seams of infilled pieces: the loss behind a part that was composed anew, against that of the real piece.

    python tests/benchmarks/infill.py [--lake DIR] [--model champion] [--dataset NAME] [--pieces 40] [--seconds 4]
                                      [--best-of 8] [--json F]

From held-out pieces of the model's dataset, or of another one that was encoded for it, less those that the model was
trained on and their relatives, a span in the middle is taken out and composed anew. The loss is the mean of the 16
tokens from the first event behind the span on, which are the same in all: with the notes of the real piece (ended with
the span, as new ones are), with nothing in the span, with the mean candidate, and with the one that is chosen. A model
for which "nothing" is no worse than "real" does not hear that far back, and tells nothing of seams.
Bars: the loss of the chosen one is no higher than the real one's, within twice the standard error of their differences;
all that stays is there to the tick.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from report import Bar, circumstances, show_bars, table, write_json

from flows.warm_start.leaks import known_to
from infra.lake import Lake
from modeling.generation import Frame, Infill, compose, seam_losses
from registry import load
from registry.openings import list_openings, read_opening
from registry.requests import PieceRequest, request_for_model
from tokenization.dataset import find_version
from tokenization.encodings import Encoding
from tokenization.encodings.grid import Grid
from tokenization.vocabulary import Tokens

ALL = (None, None, None)


def clipped(encoding: Encoding, frame: Frame, given: Tokens) -> Tokens:
    """Return the given piece with the notes of the span ended at its end."""
    grid = encoding.read(given)
    inside = (grid.start >= frame.begin) & (grid.start < frame.end)
    end = np.where(inside, np.minimum(grid.end, frame.end), grid.end)
    return frame.tokens_of(replace(grid, end=end))


def notes_of(grid: Grid) -> set[tuple[int, int, int, int]]:
    return set(zip(*(getattr(grid, name).tolist() for name in ("start", "end", "row", "pitch"))))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--lake")
    arguments.add_argument("--model", default="champion")
    arguments.add_argument("--dataset")
    arguments.add_argument("--pieces", type=int, default=40)
    arguments.add_argument("--seconds", type=float, default=4.0)
    arguments.add_argument("--best-of", type=int, default=8)
    arguments.add_argument("--json", type=Path)
    options = arguments.parse_args()
    composer = load(options.model, lake=options.lake)
    encoding, bundle = composer.encoding, composer.bundle
    lake = Lake.at(options.lake)
    version = composer.dataset if options.dataset is None else find_version(lake, options.dataset).local(lake)
    known, _ = known_to({options.model: composer.files}, version)
    held_out = [each for each in list_openings(version) if not each.is_trained_on and each.piece not in known]
    losses: dict[str, list[float]] = {name: [] for name in ("real", "nothing", "mean candidate", "chosen")}
    kept = new = 0
    for opening in [each for each in held_out if each.seconds > 3 * options.seconds][: options.pieces]:
        given = read_opening(version, opening).tokens(encoding, *ALL)
        middle = encoding.decode(given).seconds / 2
        infill = Infill(middle - options.seconds / 2, middle + options.seconds / 2)
        # The seam comes first; the rank decides between equals.
        asked = PieceRequest(style=opening.style, best_of=options.best_of, rank="none")
        request = request_for_model(asked, composer.drawing, 0, given, infill)
        frame = Frame(encoding, given, infill, request.sampling.longest_note)
        if not frame.events_behind:
            continue
        found = compose(bundle, request)
        controls = [clipped(encoding, frame, given), frame.tokens_of(frame.fixed)]
        for name, loss in zip(losses, seam_losses(bundle.model, encoding, controls, frame.events_behind)):
            losses[name].append(loss)
        losses["mean candidate"].append(float(np.mean([each.seam for each in found])))
        losses["chosen"].append(float(found[0].seam or 0.0))
        notes = [notes_of(encoding.read(each.tokens)) for each in found]
        kept += sum(notes_of(frame.fixed) <= each for each in notes)
        new += sum(len(each) - len(frame.fixed) for each in notes)
        print(f"{opening.name}: {losses['real'][-1]:.3f} real, {losses['chosen'][-1]:.3f} chosen", file=sys.stderr)
    pieces = len(losses["real"])
    real = np.array(losses["real"])
    rows = []
    for name, values in losses.items():
        apart = np.array(values) - real
        error = apart.std(ddof=1) / np.sqrt(pieces)
        rows.append([name, f"{np.mean(values):.3f}", f"{apart.mean():+.3f}", f"{error:.3f}"])
    print(table(["in the span", "nats a token behind it", "more than real", "standard error"], rows))
    print(f"{pieces} pieces, {options.best_of} candidates each, {new / pieces / options.best_of:.1f} new notes in each")
    apart = np.array(losses["chosen"]) - real
    margin = 2 * apart.std(ddof=1) / np.sqrt(pieces) - apart.mean()
    bars = [
        Bar("candidates in which all that stays is there to the tick", kept / pieces / options.best_of, 1.0),
        Bar("two standard errors less what the chosen one's loss is above the real one's", float(margin), 0.0),
    ]
    if options.json:
        results = {"pieces": pieces, "losses": losses}
        write_json(options.json, circumstances(torch.device("cpu")), results, bars)
    sys.exit(show_bars(bars))


if __name__ == "__main__":
    main()
