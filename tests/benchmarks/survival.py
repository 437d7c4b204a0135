"""Training under kills, damage and lack of space: the same weights in the end, no leftovers, one line of error.

    python tests/benchmarks/survival.py [--kills 10] [--seed 0] [--json FILE]

A very small model is trained on two ranks on the shipped starter music: once uninterrupted; then again and again with
kill −9 of one of its processes at a random moment, and the same command once more; then with a truncated checkpoint,
another number of ranks, a loss that is no number, a lost shard and a full disk. Exit status 1 if a check fails.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from flows.ingestion.starter import FREEDOOM
from infra.lake import LAKE_VARIABLE, Lake

MUSENET = [sys.executable, "-c", "from flows.cli import main; main()"]
STEPS = 120
SETTINGS = {
    "model.layers": 2,
    "model.d_model": 32,
    "model.context": 64,
    "training.steps": STEPS,
    "training.batch_size": 4,
    "training.micro_batch_size": 2,
    "training.checkpoint_every": 10,
    "training.evaluate_every": 40,
}
VICTIMS = {
    "flow": "flows.cli",
    "guard": "flows.training.guard",
    "launcher": "modeling.training.launch",
    "rank": "modeling.training.train",
}
"""The processes of a training, and the module that each runs."""
GRACE_SECONDS = 10.0
"""Time in which all others must have ended once one was killed."""
LONGEST_SECONDS = 600.0
POLL_SECONDS = 0.02
OTHER_RANKS_FIRST, OTHER_RANKS_LAST = 3e-3, 3e-2
"""Largest relative difference that another order of summation may make to a loss, in the first and last steps."""


@dataclass(frozen=True)
class Outcome:
    """One row of the table."""

    what: str
    fault: str | None
    detail: str
    seconds: float


class Wrong(Exception):
    """Something that must not happen has happened."""


@dataclass
class Place:
    """A lake of its own for one trial, with the dataset in it."""

    lake: Lake

    def command(self, ranks: int = 2, retries: int = 0, **settings: object) -> list[str]:
        changes = {**SETTINGS, **{f"training.{key}": value for key, value in settings.items()}}
        words = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
        return [*MUSENET, "train", "--dataset", "starter", "--ranks", str(ranks), "--retries", str(retries), *words]

    def start(self, **choices: object) -> subprocess.Popen[str]:
        environment = {**os.environ, LAKE_VARIABLE: str(self.lake.root)}
        return subprocess.Popen(
            self.command(**choices),  # type: ignore[arg-type]
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, **choices: object) -> str:
        """Run the command to its good end; what it said on standard error."""
        process = self.start(**choices)
        _, errors = process.communicate(timeout=LONGEST_SECONDS)
        if process.returncode != 0:
            raise Wrong(f"exit status {process.returncode}: {errors.strip()}")
        noise = [line for line in errors.splitlines() if not line.startswith(("✓ ", "! "))]
        if noise:
            raise Wrong(f"noise: {noise[0]}")
        return errors

    def fail(self, **choices: object) -> str:
        """Run the command to its bad end; the one line that it said."""
        process = self.start(**choices)
        _, errors = process.communicate(timeout=LONGEST_SECONDS)
        lines = [line for line in errors.splitlines() if not line.startswith("! MLflow")]
        if process.returncode != 1 or len(lines) != 1:
            raise Wrong(f"exit status {process.returncode}, {len(lines)} lines: {errors.strip()}")
        self.no_process()
        return lines[0].removeprefix("musenet: ").split("; the whole log")[0]

    @property
    def run(self) -> Path:
        """The folder of the one run."""
        (folder,) = self.lake.runs.iterdir()
        return folder

    def processes(self) -> dict[int, str]:
        """Return the kind of every process with this lake in its environment, by process id."""
        found = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(LAKE_VARIABLE) == str(self.lake.root) and process.status() != "zombie":
                    words = " ".join(process.cmdline())
                    # Launchers name the module of the ranks, too: the first module is the process's own.
                    places = {kind: words.find(module) for kind, module in VICTIMS.items() if module in words}
                    found[process.pid] = min(places, key=lambda kind: places[kind], default="other")
        return found

    def no_process(self) -> None:
        """Raises Wrong if anything of the training still runs after a while."""
        deadline = time.monotonic() + GRACE_SECONDS
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        if left:
            raise Wrong(f"still running after {GRACE_SECONDS:.0f} s: {', '.join(left.values())}")

    def kill(self, kind: str, process: subprocess.Popen[str], chance: random.Random) -> float:
        """Kill −9 one process of a kind as soon as there is one; the seconds until nothing was left."""
        while process.poll() is None:
            victims = [pid for pid, found in self.processes().items() if found == kind]
            if victims:
                os.kill(chance.choice(victims), signal.SIGKILL)
                break
            time.sleep(POLL_SECONDS)
        begun = time.monotonic()
        process.communicate(timeout=LONGEST_SECONDS)
        self.no_process()
        return time.monotonic() - begun

    def reach(self, checkpoints: int) -> None:
        """Train until so many checkpoints are there, then kill the flow."""
        process = self.start()
        while sum('"event": "checkpoint"' in line for line in self.reports()) < checkpoints:
            if process.poll() is not None:
                raise Wrong(f"ended before {checkpoints} checkpoints: {process.communicate()[1].strip()}")
            time.sleep(POLL_SECONDS)
        self.kill("flow", process, random.Random(0))

    def reports(self) -> list[str]:
        """The lines of the run's `metrics.jsonl` so far."""
        return [line for file in self.lake.runs.glob("*/metrics.jsonl") for line in file.read_text().splitlines()]

    def losses(self) -> tuple[int, dict[int, float]]:
        """The step that the newest attempt began behind, and the newest loss of each step of the one run."""
        reports = [json.loads(line) for line in (self.run / "metrics.jsonl").read_text().splitlines()]
        begun = [report["step"] for report in reports if report["event"] == "start"][-1]
        return begun, {report["step"]: report["loss"] for report in reports if report["event"] == "step"}

    def last_step(self) -> int:
        """The last step that was reported, 0 if none."""
        steps = [line for line in self.reports() if '"event": "step"' in line and line.endswith("}")]
        return int(json.loads(steps[-1])["step"]) if steps else 0

    def digest(self) -> str:
        """A digest of the published model's files."""
        files = sorted((self.run / "model").iterdir())
        return hashlib.sha256(b"".join(file.name.encode() + file.read_bytes() for file in files)).hexdigest()[:12]

    def files(self) -> set[str]:
        """All files of the run by their relative names."""
        return {str(path.relative_to(self.run)) for path in self.run.rglob("*") if path.is_file()}


class Trials:
    """The uninterrupted run, and what each trial is compared with it."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        dataset = Place(Lake(scratch / "dataset"))
        ingest = [*MUSENET, "ingest", str(FREEDOOM), "--name", "starter", "--lake", str(dataset.lake.root)]
        subprocess.run(ingest, check=True, capture_output=True)
        self.dataset = dataset.lake.root / "datasets"
        self.whole = self.place("whole")
        begun = time.monotonic()
        self.whole.finish()
        self.seconds = time.monotonic() - begun
        self.digest = self.whole.digest()

    def place(self, name: str) -> Place:
        lake = Lake(self.scratch / name)
        shutil.copytree(self.dataset, lake.root / "datasets")
        return Place(lake)

    def same(self, place: Place) -> None:
        """Raises Wrong unless the trial ended with the uninterrupted run's weights and files."""
        if place.digest() != self.digest:
            raise Wrong(f"other weights: {place.digest()}, not {self.digest}")
        more, fewer = place.files() - self.whole.files(), self.whole.files() - place.files()
        if more or fewer:
            raise Wrong(f"other files: +{sorted(more)} −{sorted(fewer)}")
        left = [str(path) for path in place.lake.root.rglob(".staging-*")]
        if left:
            raise Wrong(f"left over: {left}")

    def killed(self, place: Place, kind: str, step: int, delay: float, chance: random.Random) -> str:
        """Kill when a step is reached, or, for step 0, some time after the start."""
        process = place.start()
        while place.last_step() < step and process.poll() is None:
            time.sleep(POLL_SECONDS)
        time.sleep(delay)
        took = place.kill(kind, process, chance)
        before = place.last_step()
        place.finish()
        self.same(place)
        return f"at step {before}; gone in {took:.1f} s; same weights"

    def retried(self, place: Place) -> str:
        """A rank is killed once it trains; one command goes on by itself."""
        process = place.start(retries=2)
        while not place.last_step():
            time.sleep(POLL_SECONDS)
        (victim, *_) = [pid for pid, kind in place.processes().items() if kind == "rank"]
        os.kill(victim, signal.SIGKILL)
        _, errors = process.communicate(timeout=LONGEST_SECONDS)
        if process.returncode != 0:
            raise Wrong(errors.strip())
        self.same(place)
        return errors.splitlines()[0].split("; the whole log")[0]

    def truncated(self, place: Place) -> str:
        place.reach(checkpoints=2)
        newest = max((place.run / "checkpoints").glob("step*"), key=lambda path: path.name)
        largest = max((path for path in newest.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
        os.truncate(largest, largest.stat().st_size // 2)
        said = place.finish()
        self.same(place)
        warning = [line for line in said.splitlines() if line.startswith("! ")]
        if not warning:
            raise Wrong("nothing was said of the damaged checkpoint")
        return warning[0]

    def other_ranks(self, place: Place) -> str:
        """Another order of summation gives other weights in the end; the steps behind the checkpoint say whether all
        was taken over."""
        place.reach(checkpoints=2)
        place.finish(ranks=1)
        begun, losses = place.losses()
        _, expected = self.whole.losses()
        if begun == 0:
            raise Wrong("it began anew")
        first = max(abs(losses[step] / expected[step] - 1) for step in range(begun + 1, begun + 6))
        last = max(abs(losses[step] / expected[step] - 1) for step in range(STEPS - 4, STEPS + 1))
        if first > OTHER_RANKS_FIRST or last > OTHER_RANKS_LAST:
            raise Wrong(f"losses differ by {first:.1e} at first, by {last:.1e} in the end")
        return f"one run, from step {begun}; losses differ by {first:.1e} at first, by {last:.1e} in the end"

    def not_a_number(self, place: Place) -> str:
        said = place.fail(learning_rate=1e30, retries=2)
        if "nan" not in said and "inf" not in said:
            raise Wrong(said)
        if (place.run / "model").exists():
            raise Wrong("a model was published")
        return said

    def lost_shard(self, place: Place) -> str:
        (shard, *_) = sorted((place.lake.root / "datasets").rglob("train/*.parquet"))
        elsewhere = shard.rename(place.lake.root / "shard")
        said = place.fail(retries=2)
        elsewhere.rename(shard)
        place.finish()
        self.same(place)
        return said

    def full_disk(self, place: Place) -> str:
        size = sum(path.stat().st_size for path in self.whole.run.rglob("*") if path.is_file())
        place.lake.runs.mkdir(parents=True)
        with _small_disk(place.lake.runs, int(size * 0.6)) as enlarge:
            said = place.fail(retries=2)
            enlarge(size * 8)
            place.finish()
            self.same(place)
        return said


@contextlib.contextmanager
def _small_disk(folder: Path, size: int) -> Iterator[Callable[[int], None]]:
    """A disk of so many bytes in a folder, and a function that makes it larger. Raises Wrong where none may be made."""

    def mount(options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "musenet-survival", str(folder)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise Wrong(f"no disk for the trial can be mounted here ({result.stderr.strip()})")

    mount(f"size={size}")
    try:
        yield lambda larger: mount(f"remount,size={larger}")
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--kills", type=int, default=10)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--only", help="Trials whose name contains this.")
    arguments.add_argument("--json", type=Path, help="Write the table to this file, too.")
    options = arguments.parse_args()
    chance = random.Random(options.seed)
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="musenet-benchmark-") as scratch:
        trials = Trials(Path(scratch))
        print(f"uninterrupted: {trials.digest} in {trials.seconds:.1f} s", flush=True)
        kinds = [list(VICTIMS)[number % len(VICTIMS)] for number in range(options.kills)]
        plan: list[tuple[str, Callable[[Place], str]]] = [
            *((f"kill {number} {kind}", _killing(trials, kind, chance)) for number, kind in enumerate(kinds)),
            ("retry by itself", trials.retried),
            ("truncated checkpoint", trials.truncated),
            ("ranks 2 → 1", trials.other_ranks),
            ("loss no number", trials.not_a_number),
            ("lost shard", trials.lost_shard),
            ("full disk", trials.full_disk),
        ]
        for name, trial in plan:
            if options.only is None or options.only in name:
                outcomes.append(_tried(name, trial, trials.place(name.replace(" ", "-"))))
                outcome = outcomes[-1]
                result = outcome.detail if outcome.fault is None else f"WRONG: {outcome.fault}"
                print(f"{outcome.what:22} {outcome.seconds:6.1f} s  {result}", flush=True)
    faults = sum(outcome.fault is not None for outcome in outcomes)
    print(f"{len(outcomes) - faults} of {len(outcomes)} trials as they should be")
    if options.json:
        options.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1, ensure_ascii=False))
    return 1 if faults else 0


def _killing(trials: Trials, kind: str, chance: random.Random) -> Callable[[Place], str]:
    """Three of four kills hit a random step, the others the start."""
    starting = chance.random() < 0.25
    step = 0 if starting else chance.randrange(1, STEPS)
    delay = chance.uniform(0, trials.seconds / 2 if starting else 0.1)
    return lambda place: trials.killed(place, kind, step, delay, chance)


def _tried(name: str, trial: Callable[[Place], str], place: Place) -> Outcome:
    begun = time.monotonic()
    fault, detail = None, ""
    try:
        detail = trial(place)
    except Wrong as error:
        fault = " ".join(str(error).split())
    return Outcome(name, fault, detail, time.monotonic() - begun)


if __name__ == "__main__":
    sys.exit(main())
