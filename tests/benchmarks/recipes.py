"""Recipes of small models side by side: encoding, conditioning, width and drawing, at equal time on this machine.

    python tests/benchmarks/recipes.py --corpus DIR --lake DIR [--recipes before,note] [--minutes 4] [--seeds 3]
                                       [--pieces 64] [--preset tiny] [--pilot 40] [--set KEY=VALUE]
                                       [--draw KEY=VALUE] [--json FILE]

Each recipe ingests the corpus in its encoding, trains for the minutes (the number of steps follows from a short run, so
that the schedule ends in time), and is evaluated by `musenet evaluate` against held-out pieces. Printed are nats per
note on the validation split, and what a listener would complain of, beside the same of real pieces. What exists in the
lake is used again: a further recipe costs its own time alone.

Runs follow one another, since two would take each other's time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from ingest import MUSENET, _servers
from report import table

from modeling.training.events import StepTrained, read_new_events
from modeling.training.run_folder import RunFolder

MUSENET_STRUCTURE = ["time", "chord", "part", "countdown"]
LABELS = [*MUSENET_STRUCTURE, "style", "instrumentation"]
FIGURES = ("notes_per_onset", "polyphony", "long_runs", "capped_notes", "scale_share", "hanging", "all_asked", "copies")


@dataclass(frozen=True)
class Recipe:
    """What makes a model."""

    encoding: str
    time: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Changes to the preset by dotted key."""


def _batch(size: int) -> dict[str, Any]:
    return {"training.batch_size": size, "training.micro_batch_size": size}


NARROW = {"model.d_model": 128, **_batch(8)}
RECIPES = {
    "before": Recipe("combined", "seconds", {"model.structure": MUSENET_STRUCTURE}),
    "labels": Recipe("combined", "seconds", {"model.structure": LABELS}),
    "combined, beats": Recipe("combined", "beats"),
    "onset": Recipe("onset", "beats"),
    "note, seconds": Recipe("note", "seconds", {"model.structure": LABELS}),
    "note without labels": Recipe("note", "beats", {"model.structure": MUSENET_STRUCTURE}),
    "note without metre": Recipe("note", "beats", {"model.structure": LABELS}),
    "note": Recipe("note", "beats"),
    "note, narrow": Recipe("note", "beats", NARROW),
    "note, transposed": Recipe("note", "beats", {"training.augmentation": {"transpose": 5}}),
    "note, as it is": Recipe("note", "beats", {"training.augmentation": {}}),
    "note, deep": Recipe("note", "beats", {"model.layers": 8, "model.d_model": 192}),
    "note, shallow": Recipe("note", "beats", {"model.layers": 2, "model.d_model": 384}),
    "note, half context": Recipe("note", "beats", {"model.context": 512, **_batch(16)}),
    "note, half batch": Recipe("note", "beats", _batch(4)),
    "note, twice the batch": Recipe("note", "beats", _batch(16)),
    "note, AdamW": Recipe("note", "beats", {"training.optimiser": "adamw", "training.learning_rate": 2e-3}),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--corpus", type=Path, required=True)
    arguments.add_argument("--lake", type=Path, required=True)
    arguments.add_argument("--recipes", default="before,note", help=f"some of: {', '.join(RECIPES)}, joined by commas")
    arguments.add_argument("--minutes", type=float, default=4.0)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--pieces", type=int, default=64)
    arguments.add_argument("--preset", default="tiny")
    arguments.add_argument("--pilot", type=int, default=40, help="steps of the short run, the first half not timed")
    arguments.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="changes to every recipe")
    arguments.add_argument("--draw", action="append", default=[], metavar="KEY=VALUE", help="changes to the request")
    arguments.add_argument("--json", type=Path)
    options = arguments.parse_args()
    names = _chosen(options.recipes)
    results: dict[str, list[dict[str, Any]]] = {}
    with _servers(options.lake):
        for seed in range(options.seeds):
            for name in names:
                results.setdefault(name, []).append(_run(name, seed, options))
                print(f"{name}, seed {seed}: {json.dumps(results[name][-1])}", flush=True)
    heads = ("recipe", "nats/note", "× floor", *FIGURES)
    rows = [[name, *(f"{mean(run[key] for run in runs):.3g}" for key in heads[1:])] for name, runs in results.items()]
    real = next(iter(results.values()))[0]["real"]
    rows.append(["real", "", "1", *("–" if real[key] is None else f"{real[key]:.3g}" for key in FIGURES)])
    print(table(heads, rows))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def _chosen(text: str) -> list[str]:
    """Return the recipes named; a name may hold a comma itself."""
    names = [name for name in RECIPES if f",{name}," in f",{text},"]
    return names or [text]


def _run(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    recipe = RECIPES[name]
    dataset = f"{recipe.encoding}-{recipe.time}"
    lake = ("--lake", str(options.lake))
    where = (str(options.corpus), "--name", dataset, "--encoding", recipe.encoding, "--time", recipe.time)
    _musenet("ingest", *where, *lake)
    given = {key: json.loads(value) for key, value in (change.split("=", 1) for change in options.set)}
    settings = {**recipe.settings, **given, "training.seed": seed, "training.max_minutes": 10 * options.minutes}
    train = ("train", "--dataset", dataset, "--preset", options.preset, *lake)
    short = {"training.steps": options.pilot, "training.evaluate_every": options.pilot}
    pilot = _musenet(*train, *_set({**settings, **short}))
    steps = int(options.minutes * 60 / _seconds_per_step(Path(pilot["folder"])))
    run = _musenet(*train, *_set({**settings, "training.steps": steps, "training.evaluate_every": steps}))
    version = _musenet("register", "--run", run["run_id"], "--alias", "recipe", *lake)["version"]
    draw = [word for change in options.draw for word in ("--set", change)]
    bare = ("--set", "references=0")  # which are not printed, and take longer than the pieces
    report = _musenet("evaluate", str(version), "--pieces", str(options.pieces), *bare, *draw, *lake)
    overall = report["groups"][0]
    figures = {each["figure"]: each for each in overall["figures"]}
    found = {key: figures[key]["samples"]["value"] if key in figures else float("nan") for key in FIGURES}
    real = {key: (figures.get(key) or {}).get("held_out") for key in FIGURES}
    return {
        "version": version,
        "steps": steps,
        "nats/note": run["nats_per_note"],
        "× floor": overall["multiple"],
        **found,
        "measures": {each["measure"]: each["multiple"] for each in overall["measures"]},
        "real": {key: None if value is None else value["value"] for key, value in real.items()},
    }


def _seconds_per_step(folder: Path) -> float:
    events, _ = read_new_events(RunFolder(folder).metrics, 0)
    times = [event.time for event in events if isinstance(event, StepTrained)]
    half = len(times) // 2
    return (times[-1] - times[half]) / (len(times) - 1 - half)


def _set(settings: Mapping[str, Any]) -> list[str]:
    return [word for key, value in settings.items() for word in ("--set", f"{key}={json.dumps(value)}")]


def _musenet(*words: str) -> dict[str, Any]:
    """Run a command and return its report. Raises SystemExit with what it said where it fails."""
    command: Sequence[str] = (str(MUSENET), *words, "--json")
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


if __name__ == "__main__":
    main()
