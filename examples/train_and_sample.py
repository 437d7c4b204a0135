"""Train a small model on a dataset, with its critic, register both, and compose.

python examples/train_and_sample.py mine --style bach --steps 500
"""

from __future__ import annotations

import argparse

import musenet

SMALL = {
    "model.layers": 2,
    "model.d_model": 64,
    "model.context": 64,
    "training.batch_size": 2,
    "training.micro_batch_size": 2,
}
"""Changes to the preset `tiny` that make it smaller still."""
QUICK = {"critic.trunk": "frozen", "critic.steps": 20, "train_pieces": 32, "held_out_pieces": 16}
"""Changes to the critic's training for a model as small."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a small model and compose with it.")
    parser.add_argument("dataset", help="NAME or NAME@DIGEST")
    parser.add_argument("--style", help="one of the dataset's styles (default: the model chooses)")
    parser.add_argument("--steps", type=int, default=500, help="steps of training (default 500)")
    parser.add_argument("--length", type=int, default=512, help="tokens of the piece (default 512)")
    parser.add_argument("--lake", help="folder that everything is written to (default ./lake)")
    parser.add_argument("--out", default="songs", help="folder of the piece (default songs)")
    arguments = parser.parse_args()
    lake = arguments.lake

    try:
        with musenet.session(lake):
            run = musenet.train(arguments.dataset, settings={**SMALL, "training.steps": arguments.steps}, lake=lake)
            critic = musenet.critic(run.run_id, settings=QUICK, lake=lake)
            version = musenet.register(run.run_id, alias="champion", lake=lake)
            report = musenet.sample(
                style=arguments.style, instruments=["piano"], length=arguments.length, out=arguments.out, lake=lake
            )
    except musenet.MusenetError as error:
        raise SystemExit(f"train_and_sample: {error}") from error

    print(f"run {run.run_id}: {run.steps} steps, held-out nats/note {run.nats_per_note}")
    print(f"critic: AUC {critic.auc:.3f} on {arguments.dataset}")
    print(f"version {version.version}, alias {version.alias}")
    for piece in report.samples:
        print(f"{piece.midi}: {piece.notes} notes, {piece.seconds:.0f} s, score {piece.score or 0:.3f}")


if __name__ == "__main__":
    main()
