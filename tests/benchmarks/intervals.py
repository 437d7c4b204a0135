"""Melodic intervals that a model foresees behind real notes, beside those that the notes take.

    python tests/benchmarks/intervals.py --lake DIR --run ID [--style folk,turkish_makam] [--pieces 64] [--json FILE]

Held-out pieces are read from their beginnings, as far as one context. Wherever a pitched note comes next and one was
heard before, the probability of each pitch, over all instruments and velocities, is counted by its interval from the
latest note. Printed are the shares of the intervals, and the mean loss of the pitch in nats.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from report import circumstances, table, write_json
from trained import add_arguments, load_trained

from modeling.data.collate import collate
from modeling.network.loss import IGNORED
from modeling.network.melody import recent_pitches
from tokenization.encodings.effects import NOTE
from tokenization.vocabulary import PITCHES

WIDEST = 12
ROWS = 8


@torch.inference_mode()
def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(arguments)
    arguments.add_argument("--style", default="", help="of the pieces, joined by commas; empty: all")
    options = arguments.parse_args()
    run, split, model = load_trained(options)
    styles = set(filter(None, options.style.split(",")))
    pieces = [piece for piece, style in zip(split.pieces, split.styles) if not styles or style in styles]
    kinds = torch.from_numpy(split.encoding.effects.table.kind)
    rows_of_notes = kinds[: split.vocabulary.note_end].view(-1, PITCHES)[:, 0] == NOTE
    foreseen, taken = np.zeros(2 * WIDEST + 1), np.zeros(2 * WIDEST + 1)
    loss, notes = 0.0, 0
    for first in range(0, min(len(pieces), options.pieces), ROWS):
        chosen = pieces[first : first + ROWS]
        batch, targets = collate(chosen, [0] * len(chosen), model.config.context, split.encoding)
        assert batch.texture is not None
        latest, targets = recent_pitches(batch.texture.flatten(0, 1), 1)[:, 0], targets.flatten().long()
        counts = (targets != IGNORED) & (latest >= 0)
        counts &= kinds[targets.clamp(min=0)] == NOTE
        logits = model.logits(model.states(batch), batch.texture).flatten(0, 1)[counts]
        of_notes = logits[:, : split.vocabulary.note_end].view(len(logits), -1, PITCHES)[:, rows_of_notes]
        by_pitch = of_notes.logsumexp(1).log_softmax(1)
        pitch, latest = targets[counts] % PITCHES, latest[counts]
        loss -= float(by_pitch.gather(1, pitch[:, None]).sum())
        notes += len(pitch)
        steps = (torch.arange(PITCHES) - latest[:, None]).clamp(-WIDEST, WIDEST) + WIDEST
        foreseen += np.bincount(steps.flatten().numpy(), by_pitch.exp().flatten().double().numpy(), len(foreseen))
        taken += np.bincount((pitch - latest).clamp(-WIDEST, WIDEST).numpy() + WIDEST, minlength=len(taken))
    rows = [
        [f"{step:+d}", f"{100 * one / notes:.1f}", f"{100 * other / notes:.1f}"]
        for step, one, other in zip(range(-WIDEST, WIDEST + 1), foreseen, taken)
    ]
    print(table(("semitones", "foreseen, %", "taken, %"), rows))
    print(f"{notes:,} notes, {loss / notes:.3f} nats for the pitch of one")
    if options.json:
        result = {"run": run.run_id, "notes": notes, "nats": loss / notes, "rows": rows}
        write_json(options.json, circumstances(torch.device("cpu")), result, [])


if __name__ == "__main__":
    main()
