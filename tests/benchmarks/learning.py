"""Held-out nats/note of the network, of a plain GPT and of a back-off n-gram.

    python tests/benchmarks/learning.py --lake DIR --dataset NAME [--preset tiny] [--steps 500] [--json FILE]
    python tests/benchmarks/learning.py --lake DIR --dataset NAME --variants …
    … --jobs 2    two runs at a time, each on half of the cores

    n-gram  `ngram.py`, order 5, on the pieces and two transposed copies of each
    plain   a GPT of the preset's size through our trainer, with its optimiser: no embeddings beside token and position,
            notes that share nothing, dense attention, the architecture of GPT-2
    bare    the preset without those embeddings: what they are worth
    ours    the preset

Networks see the same windows of the same dataset for as many steps, and differ by seed alone within a line. All are
measured over the whole validation split. Runs are `musenet train`'s: their curves are in the lake's MLflow, a run that
was interrupted goes on, and one that has finished is used again; so are measurements that --json holds.

Exit status 1 when ours is not better than all, than networks by twice the standard error of the difference.

--variants measures instead each modern variant of the architecture against the plain one, at as many parameters, and
other optimisers and schedules; all else is the preset's. Nothing is judged then, and --windows 512 saves time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from baselines.ngram import score, with_copies
from report import Bar, circumstances, show_bars, table, write_json

from flows.evaluation.baselines.ngram import NGram
from flows.training.history import read_history
from infra.lake import Lake
from modeling.config import Preset, load_preset, with_settings
from modeling.data import Split, load_split
from modeling.network.weights import load_model
from modeling.training.evaluation import evaluate
from tokenization.dataset import find_version

Settings = Mapping[str, Any]
PLAIN_ARCHITECTURE: Settings = {
    "model.norm": "layer",
    "model.positions": "learned",
    "model.feed_forward": "gelu",
    "model.qk_norm": False,
    "model.kv_heads": "none",
}
BARE: Settings = {"model.structure": [], "model.factored_notes": False}
PLAIN_GPT: Settings = {**PLAIN_ARCHITECTURE, **BARE, "model.sparsity.mode": "dense"}
MODERN: dict[str, Settings] = {
    "norm=rms": {"model.norm": "rms"},
    "positions=rotary": {"model.positions": "rotary"},
    "feed_forward=swiglu": {"model.feed_forward": "swiglu"},
    "qk_norm": {"model.qk_norm": True},
}
ADAMW_RATES = (3e-3, 1e-2)
"""Learning rates of the runs without Muon."""
ORDER, COPIES = 5, 2
"""Of the n-gram."""
EVALUATION_BATCH = 16
STANDARD_ERRORS = 2.0


class RunFailed(RuntimeError):
    """A training run that ended with an error; the message is its last line."""


@dataclass(frozen=True)
class Measured:
    """One trained network over windows of the validation split."""

    contestant: str
    seed: int
    run_id: str
    parameters: int
    steps: int
    minutes: float
    precision: str
    windows: int | None
    """Of the validation split; None: all."""
    nats_per_token: float
    nats_per_note: float
    curve: list[tuple[int, float]]
    """Step and nats/note of each evaluation while it trained."""


@dataclass(frozen=True)
class Summary:
    """One contestant over its seeds."""

    name: str
    parameters: int
    seeds: int
    minutes: float
    nats_per_token: float
    nats_per_note: float
    deviation: float
    """Standard deviation of nats/note over seeds; 0 of a single one."""

    @classmethod
    def of(cls, name: str, runs: list[Measured]) -> Summary:
        notes = [run.nats_per_note for run in runs]
        spread = stdev(notes) if len(notes) > 1 else 0.0
        minutes, tokens = mean(run.minutes for run in runs), mean(run.nats_per_token for run in runs)
        return cls(name, runs[0].parameters, len(runs), minutes, tokens, mean(notes), spread)

    def row(self) -> list[str]:
        size = f"{self.parameters / 1e6:.2f} M" if self.parameters else ""
        figures = (f"{self.nats_per_token:.4f}", f"{self.nats_per_note:.4f}")
        deviation = f"{self.deviation:.4f}" if self.seeds > 1 else ""
        return [self.name, size, str(self.seeds), f"{self.minutes:.1f}", *figures, deviation]


def contestants(preset: Preset, variants: bool) -> dict[str, Settings]:
    """Return the contestants as changes to the preset."""
    if not variants:
        return {"plain": PLAIN_GPT, "bare": BARE, "ours": {}}
    all_four = {key: value for change in MODERN.values() for key, value in change.items()}
    ungated = {key: value for key, value in all_four.items() if key != "model.feed_forward"}
    # What half of the keys and values saves goes into the feed-forward: width² parameters are half a width inside it.
    heads, width = preset.model.heads, preset.model.d_model
    grouped = {"model.kv_heads": max(heads // 2, 1), "model.d_ff": 9 * width // 2}
    adamw: dict[str, Settings] = {
        f"plain, optimiser=adamw {rate:g}": {"training.optimiser": "adamw", "training.learning_rate": rate}
        for rate in ADAMW_RATES
    }
    changes: dict[str, Settings] = {
        "plain": {},
        **MODERN,
        "kv_heads=heads/2": grouped,
        "rms, rotary, qk_norm": ungated,
        "rms, rotary, qk_norm, swiglu": all_four,
        **adamw,
        "plain, schedule=wsd": {"training.schedule": "wsd"},
    }
    return {name: {**PLAIN_ARCHITECTURE, **change} for name, change in changes.items()}


def trained(lake: Path, dataset: str, preset: str, settings: Settings) -> dict[str, Any]:
    """The report of the run, by `musenet train`. Raises RunFailed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.toml"
        said: Settings = {"dataset": dataset, "preset": preset, **settings}
        file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items()), encoding="utf-8")
        musenet = [sys.executable, "-c", "from flows.cli import main; main()"]
        command = [*musenet, "train", "--config", str(file), "--lake", str(lake), "--json"]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RunFailed(next(reversed(done.stderr.strip().splitlines()), f"exit status {done.returncode}"))
    report: dict[str, Any] = json.loads(done.stdout)
    return report


class Benchmark:
    """A dataset, a preset and what has been measured of them, kept in a file."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        """Raises UserError and PresetError for names and settings that do not exist."""
        self.lake: Path = arguments.lake
        version = find_version(Lake.at(self.lake), arguments.dataset).local(Lake.at(self.lake))
        self.version, self.dataset = version.path, f"{version.name}@{version.digest}"
        changes = dict(pair.split("=", 1) for pair in arguments.set)
        limits = {"training.steps": arguments.steps, "training.max_minutes": "none"}
        self.common: Settings = {**{key: value for key, value in limits.items() if value is not None}, **changes}
        self.preset = with_settings(load_preset(arguments.preset), self.common)
        self.seeds, self.jobs = arguments.seeds, arguments.jobs
        self.variants, self.file = arguments.variants, arguments.json
        self.windows = arguments.windows
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.runs: list[Measured] = []
        self.known: dict[str, Any] = {}
        if self.file and self.file.exists():
            self.known = json.loads(self.file.read_text(encoding="utf-8"))

    @cached_property
    def validation(self) -> Split:
        """The validation split that all are measured on, read once."""
        return load_split(self.version, "validation")

    def ngram(self) -> Summary:
        """The n-gram's loss, from the file if it was measured on this dataset and context."""
        context = self.preset.model.context
        known = self.known.get("ngram")
        if known and (known["dataset"], known["context"]) == (self.dataset, context):
            return Summary(**known["summary"])
        training = load_split(self.version, "train")
        model = NGram(with_copies(training, COPIES), training.vocabulary.size, ORDER)
        found = score(model, self.validation, context)
        summary = Summary(f"{ORDER}-gram", 0, 1, 0.0, found.nats_per_token, found.nats_per_note, 0.0)
        self.known["ngram"] = {"dataset": self.dataset, "context": context, "summary": asdict(summary)}
        self.save()
        return summary

    def networks(self) -> Iterator[Summary]:
        """Every contestant, trained with every seed. Raises RunFailed."""
        changes = contestants(self.preset, self.variants)
        # Seeds are the outer loop: an interrupted benchmark has some of every contestant.
        wanted = [
            (name, seed, {**self.common, **settings, "training.seed": seed})
            for seed in range(self.seeds)
            for name, settings in changes.items()
        ]
        with self.workers() as pool:
            for run in pool.map(lambda one: self.measured(*one), wanted):
                self.runs.append(run)
                self.save()
        for name in changes:
            yield Summary.of(name, [run for run in self.runs if run.contestant == name])

    def workers(self) -> ThreadPoolExecutor:
        """A thread for each run at a time, with a share of the cores, which what it starts inherits."""
        cores = sorted(os.sched_getaffinity(0))
        each = max(len(cores) // self.jobs, 1)
        shares = iter([cores[first : first + each] for first in range(0, len(cores), each)] * self.jobs)
        torch.set_num_threads(each)
        return ThreadPoolExecutor(self.jobs, initializer=lambda: os.sched_setaffinity(0, next(shares)))

    def measured(self, name: str, seed: int, settings: Settings) -> Measured:
        report = trained(self.lake, self.dataset, self.preset.name, settings)
        wanted = {"run_id": report["run_id"], "steps": report["steps"], "windows": self.windows}
        for run in self.known.get("runs", []):
            if wanted.items() <= run.items():
                return Measured(**{**run, "contestant": name})
        model = load_model(Path(report["folder"]) / "model", self.device)
        held_out = evaluate(model, self.validation, model.config.context, EVALUATION_BATCH, limit=self.windows)
        print(
            f"{name}, seed {seed}: {held_out.nats_per_note:.4f} nats/note, run {report['run_id']}, "
            f"{report['seconds'] / 60:.1f} min",
            file=sys.stderr,
        )
        figures = (report["parameters"], report["steps"], report["seconds"] / 60, report["precision"], self.windows)
        evaluations = read_history(Path(report["folder"]) / "metrics.jsonl").evaluations
        curve = [(one.step, one.nats_per_note) for one in evaluations]
        return Measured(name, seed, report["run_id"], *figures, held_out.nats_per_token, held_out.nats_per_note, curve)

    def save(self, bars: list[Bar] | None = None) -> None:
        """Write the results so far to the file."""
        if self.file:
            names = {run.run_id for run in self.runs}
            earlier = [run for run in self.known.get("runs", []) if run["run_id"] not in names]
            about = {"dataset": self.dataset, "preset": self.preset.name, "settings": self.common}
            found = {"ngram": self.known.get("ngram"), "runs": [*earlier, *map(asdict, self.runs)]}
            write_json(self.file, circumstances(self.device), {**about, **found}, bars or [])


def curves(runs: list[Measured]) -> str:
    """A table of nats/note as training went on, on the windows that evaluations read: means over seeds."""
    names = list(dict.fromkeys(run.contestant for run in runs))
    steps = sorted({step for run in runs for step, _ in run.curve})

    def at(name: str, step: int) -> str:
        found = [dict(run.curve)[step] for run in runs if run.contestant == name and step in dict(run.curve)]
        return f"{mean(found):.3f}" if found else ""

    return table(("after steps", *names), [[f"{step:,}", *(at(name, step) for name in names)] for step in steps])


def bars(ngram: Summary, networks: Mapping[str, Summary]) -> list[Bar]:
    """Ours against each of the others."""
    ours = networks["ours"]
    reached = [
        Bar(f"nats/note that ours saves against the {ngram.name}", ngram.nats_per_note - ours.nats_per_note, 0.0)
    ]
    for peer in (networks["plain"], networks["bare"]):
        error = math.sqrt(sum(one.deviation**2 / one.seeds for one in (ours, peer)))
        what = f"nats/note that ours saves against {peer.name} ({STANDARD_ERRORS:g} standard errors)"
        reached.append(Bar(what, peer.nats_per_note - ours.nats_per_note, STANDARD_ERRORS * error))
    return reached


def main() -> int:
    parser = argparse.ArgumentParser(description="Held-out loss of our network and its peers.")
    parser.add_argument("--lake", type=Path, required=True, help="folder of the lake; runs are written there")
    parser.add_argument("--dataset", required=True, help="NAME or NAME@DIGEST")
    parser.add_argument("--preset", default="tiny", help="size and training (default tiny)")
    parser.add_argument("--steps", type=int, help="training steps (default the preset's)")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each network (default 3)")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time (default 1)")
    parser.add_argument("--windows", type=int, help="validation windows to measure on (default all)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting of all")
    parser.add_argument("--variants", action="store_true", help="compare modern variants instead")
    parser.add_argument("--json", type=Path, help="keep the figures here, and use those that it holds")
    arguments = parser.parse_args()
    if min(arguments.seeds, arguments.jobs) < 1 or (arguments.steps is not None and arguments.steps < 1):
        parser.error("--seeds, --jobs and --steps are at least 1")
    if any("=" not in pair for pair in arguments.set):
        parser.error("--set takes KEY=VALUE")

    benchmark = Benchmark(arguments)
    where = circumstances(benchmark.device)
    try:
        ngram = benchmark.ngram()
        networks = {one.name: one for one in benchmark.networks()}
    except RunFailed as error:
        print(error, file=sys.stderr)
        return 1
    steps, precision = benchmark.runs[0].steps, benchmark.runs[0].precision
    print(f"{benchmark.dataset}, preset {benchmark.preset.name}, {steps:,} steps; {where['device']}, {precision}")
    heads = ("", "parameters", "seeds", "minutes", "nats/token", "nats/note", "± sd")
    print(table(heads, [one.row() for one in (ngram, *networks.values())]))
    if not arguments.variants:
        print(curves(benchmark.runs))
    reached = [] if arguments.variants else bars(ngram, networks)
    benchmark.save(reached)
    return show_bars(reached)


if __name__ == "__main__":
    sys.exit(main())
