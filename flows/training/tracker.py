"""The tracker: brings a run's reports to MLflow while it goes on, and never stands in training's way.

It reads `metrics.jsonl` by itself, in a thread, from where it has got to: a place that MLflow keeps beside the metrics.
So what a broken or locked database did not take goes there later, be it by the next attempt or the same command run
again, and a lost database is filled anew. Steps that a resumed run repeats are shown once, as they were first.
"""

from __future__ import annotations

import json
import math
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType

from rich.markup import escape

from flows.progress import say
from flows.training.history import Report, parse_report
from flows.training.runs import Run
from infra.lake import Lake
from registry.lineage import DatasetReference, log_dataset
from registry.runs import (
    Measured,
    Registry,
    RegistryError,
    begin_run,
    end_run,
    find_run,
    log_metrics,
    refusals,
    reopen_run,
    tag_of,
)
from registry.system_metrics import SystemMetrics
from tokenization.dataset.version import DatasetVersion

SECONDS_BETWEEN_WRITES = 10.0
LAST_SECONDS = 15.0
"""Time that MLflow gets, at the end, to take what is left."""
BYTES_PER_WRITE = 1 << 18
"""Of `metrics.jsonl` that go to MLflow together: about a thousand steps."""
PLACE = "musenet.tracked"
"""Tag of a run in MLflow: its `Place`."""

NOT_MEASURED = ("time", "step", "tokens")
"""Numbers in reports that say when and of how much."""


@dataclass(frozen=True)
class Place:
    """How far a run's reports have been brought to MLflow."""

    offset: int = 0
    """Bytes of `metrics.jsonl`."""
    step: int = -1
    """The last step whose training is shown, and `evaluation`, whose evaluation is."""
    evaluation: int = -1


def dataset_reference(dataset: DatasetVersion) -> DatasetReference:
    """A dataset version as the registry names it."""
    profile = {key: dataset.description[key] for key in ("pieces", "tokens", "notes", "hours", "styles")}
    return DatasetReference(dataset.name, dataset.digest, str(dataset.folder), profile)


def mlflow_run(lake: Lake, run: Run, dataset: DatasetVersion) -> tuple[Registry, str]:
    """The registry and MLflow's id of a training run, opened anew or found. Raises RegistryError."""
    registry = Registry.open(lake.registry_database, lake.registry_artifacts)
    with refusals():
        run_id = find_run(registry, run.run_id)
        if run_id is None:
            parameters = {
                "dataset": run.dataset,
                "preset": run.preset,
                "ranks": run.config.world_size,
                "model": run.config.model.model_dump(),
                "training": run.config.training.model_dump(),
            }
            run_id = begin_run(registry, run.run_id, f"{run.preset}-{run.run_id}", parameters)
        log_dataset(registry, run_id, dataset_reference(dataset), "training")
    return registry, run_id


def unsent(metrics: Path, place: Place) -> tuple[list[Measured], Place]:
    """The next rows for MLflow behind a place, and the place behind them."""
    if not metrics.exists():
        return [], place
    with metrics.open("rb") as file:
        if file.seek(0, 2) < place.offset:  # the run's folder was removed, and the run begun again
            place = replace(place, offset=0)
        file.seek(place.offset)
        content = file.read(BYTES_PER_WRITE)
        if len(content) == BYTES_PER_WRITE and b"\n" not in content:
            content += file.readline()
    whole = content[: content.rfind(b"\n") + 1]
    rows, last = [], {"step": place.step, "evaluation": place.evaluation}
    for report in filter(None, map(parse_report, whole.split(b"\n"))):
        kind = report["event"]
        if kind in last and report["step"] > last[kind]:
            last[kind] = report["step"]
            values = {name: value for name, value in _values(report).items() if math.isfinite(value)}
            rows.append(Measured(report["step"], report["time"], values))
    return rows, Place(place.offset + len(whole), **last)


def _values(report: Report) -> dict[str, float]:
    """All that a report of a step or an evaluation measures, under the names that MLflow shows."""
    numbers = {
        name: float(value)
        for name, value in report.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name not in NOT_MEASURED
    }
    if report["event"] == "step":
        return numbers
    styles = {f"validation_nats_per_token/{style}": loss for style, loss in report["by_style"].items()}
    return {f"validation_{name}": value for name, value in numbers.items()} | styles


class Sender:
    """MLflow's run of a training run, and how far its reports are there."""

    def __init__(self, lake: Lake, run: Run, dataset: DatasetVersion) -> None:
        """Raises RegistryError, as all its methods."""
        self.metrics = run.metrics
        self.registry, self.run_id = mlflow_run(lake, run, dataset)
        with refusals():
            place = tag_of(self.registry, self.run_id, PLACE)
        self.place = Place() if place is None else Place(**json.loads(place))

    def reopen(self) -> None:
        with refusals():
            reopen_run(self.registry, self.run_id)

    def send(self) -> int:
        """Send what is new; returns how many reports that were."""
        sent = 0
        while True:
            rows, place = unsent(self.metrics, self.place)
            if place == self.place:
                return sent
            with refusals():
                log_metrics(self.registry, self.run_id, rows, {PLACE: json.dumps(asdict(place))})
            self.place = place
            sent += len(rows)

    def end(self, status: str) -> None:
        with refusals():
            end_run(self.registry, self.run_id, status)


def catch_up(lake: Lake, run: Run, dataset: DatasetVersion) -> None:
    """Bring to MLflow what it has missed of a run that has finished; as quiet as the tracker."""
    try:
        sender = Sender(lake, run, dataset)
        if sender.send():
            sender.end("FINISHED")
    except (RegistryError, OSError) as error:
        _warn(error)


class Tracker:
    """Brings a run's reports to MLflow during a block, and closes MLflow's run when the block ends.

    What goes wrong with MLflow is said once, in one line; nothing of it reaches the block.
    """

    def __init__(self, lake: Lake, run: Run, dataset: DatasetVersion) -> None:
        self._lake, self._run, self._dataset = lake, run, dataset
        self._connection: tuple[Sender, SystemMetrics] | None = None
        self._warned = False
        self._status = ""
        self._over = threading.Event()
        # MLflow may take minutes to fail: the one who waits for it must not be the one who follows the job.
        self._thread = threading.Thread(target=self._work, name="tracker", daemon=True)

    def __enter__(self) -> Tracker:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failed = "FAILED" if kind is not None and issubclass(kind, Exception) else "KILLED"
        self._status = "FINISHED" if kind is None else failed
        self._over.set()
        self._thread.join(LAST_SECONDS)
        if self._thread.is_alive():
            self._refused(RegistryError("no answer"))

    def _work(self) -> None:
        while not self._over.is_set():
            self._write()
            self._over.wait(SECONDS_BETWEEN_WRITES)
        self._write()

    def _write(self) -> None:
        """Write what there is, and at the end how the run ended."""
        over = self._over.is_set()  # before what is read, so that nothing comes behind the end
        try:
            sender, system = self._connection or self._connect()
            sender.send()
            system.sample()
            if over:
                sender.end(self._status)
        except (RegistryError, OSError) as error:
            self._connection = None
            self._refused(error)

    def _connect(self) -> tuple[Sender, SystemMetrics]:
        sender = Sender(self._lake, self._run, self._dataset)
        sender.reopen()
        self._connection = sender, SystemMetrics(sender.registry, sender.run_id)
        return self._connection

    def _refused(self, error: Exception) -> None:
        if not self._warned:
            _warn(error)
        self._warned = True


def _warn(error: Exception) -> None:
    reason = " ".join(str(error).split())
    say(f"[yellow]![/] MLflow: {escape(reason)}; training does not wait for it, what is missing there follows")
