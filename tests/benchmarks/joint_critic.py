"""What a critic costs the network that it is trained with: the loss of language, with and without it, at equal tokens.

    python tests/benchmarks/joint_critic.py --lake DIR --dataset NAME [--preset sketch] [--steps 220] [--seeds 3]
                                            [--set training.critic.weight=0.05] [--json FILE]

For each seed a run is trained twice, with the same windows of language in every step. Printed are nats per note on the
whole validation split, the share of the time that generation for the archive took, and the critic's last loss. The
bar: in the mean over the seeds the loss with the critic is at most as much higher as seeds differ without it. Runs of
the lake are used again; its servers are started.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from ingest import _servers
from recipes import _musenet, _set
from report import Bar, circumstances, show_bars, table, write_json

from modeling.training.events import ArchiveFilled, StepTrained, read_new_events
from modeling.training.run_folder import RunFolder

FILLINGS = 4
"""Of the archive in a run, at least."""


def train(options: argparse.Namespace, seed: int, with_critic: bool) -> dict[str, Any]:
    """Train a run, or find it, and return its figures."""
    settings = {"training.seed": seed, "training.steps": options.steps, "training.evaluate_every": options.steps}
    further: list[str] = []
    if with_critic:
        settings |= {"training.critic.fill_every": min(50, max(options.steps // FILLINGS, 1))}
        further = [word for setting in options.set for word in ("--set", setting)]
    words = ("train", "--dataset", options.dataset, "--preset", options.preset, "--lake", str(options.lake))
    report = _musenet(*words, *_set(settings), *further)
    events, _ = read_new_events(RunFolder(Path(report["folder"])).metrics, 0)
    heard = [event.critic_loss for event in events if isinstance(event, StepTrained) and event.critic_loss is not None]
    filled = [event for event in events if isinstance(event, ArchiveFilled)]
    return {
        "nats_per_note": report["nats_per_note"],
        "seconds": report["seconds"],
        "critic_loss": mean(heard[-10:]) if heard else None,
        "generations": sum(event.generations for event in filled),
        "share": filled[-1].share if filled else 0.0,
    }


def bars(without: Sequence[float], with_critic: Sequence[float]) -> list[Bar]:
    """Return the bar: the loss without the critic, and what seeds differ by, over that with it."""
    return [
        Bar("loss without a critic, and its deviation over seeds, over that with one", *_ratio(without, with_critic))
    ]


def _ratio(without: Sequence[float], with_critic: Sequence[float]) -> tuple[float, float]:
    return (mean(without) + (stdev(without) if len(without) > 1 else 0.0)) / mean(with_critic), 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lake", type=Path, required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--preset", default="sketch")
    parser.add_argument("--steps", type=int, default=220)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the runs with a critic")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: list[tuple[dict[str, Any], dict[str, Any]]] = []
    with _servers(options.lake):
        for seed in range(options.seeds):
            found.append((train(options, seed, False), train(options, seed, True)))
            print(f"seed {seed}: {json.dumps(found[-1])}", flush=True)
    heads = ("seed", "nats a note without", "with the critic", "critic's loss", "generations", "share of time")
    rows = [
        [
            str(seed),
            *(f"{run['nats_per_note']:.3f}" for run in (plain, joint)),
            f"{joint['critic_loss']:.3f}",
            str(joint["generations"]),
            f"{joint['share']:.1%}",
        ]
        for seed, (plain, joint) in enumerate(found)
    ]
    print(table(heads, rows))
    limits = bars(*([pair[number]["nats_per_note"] for pair in found] for number in (0, 1)))
    if options.json:
        write_json(options.json, circumstances(torch.device("cpu")), {"command": sys.argv, "runs": found}, limits)
    return show_bars(limits)


if __name__ == "__main__":
    sys.exit(main())
