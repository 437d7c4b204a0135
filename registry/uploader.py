"""The uploader: copies the events of a training run to MLflow while it goes on, without ever delaying training.

It follows `metrics.jsonl` in a thread of its own, from the position that MLflow keeps as a tag beside the metrics.
What a broken or locked database did not take is therefore uploaded later, by the next attempt or by running the same
command again, and a lost database is filled anew. Steps that a resumed run repeats are uploaded once, the first time.
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from infra.lake import Lake
from modeling.config import ParentModel
from modeling.training.event_metrics import metrics_of
from modeling.training.events import Evaluated, StepTrained, early_end, newest_attempt, read_events, read_new_events
from modeling.training.run_folder import RunFolder
from registry.audio import rendered_files
from registry.checkpoints import LoggedCheckpoints
from registry.errors import RegistryError, registry_errors
from registry.lineage import DatasetReference
from registry.plots import NAME as PLOTS
from registry.plots import draw_training
from registry.runs import MetricRow, end_run, log_metrics, open_run, reopen_run, tag_of
from registry.store import Registry
from registry.system_metrics import SystemMetrics

SECONDS_BETWEEN_UPLOADS = 10.0
LAST_SECONDS = 15.0
"""Longest wait for the last upload."""
BYTES_PER_UPLOAD = 1 << 18
"""Bytes of `metrics.jsonl` in one upload: about a thousand steps."""
PROGRESS_TAG = "musenet.tracked"
"""Tag of an MLflow run that holds its UploadProgress, as JSON."""
STOPPED_TAG = "musenet.stopped_early"
"""Tag with the reason why training ended before its last step, empty where it did not."""

OnWarning = Callable[[str], None]


@dataclass(frozen=True)
class TrackedRun:
    """A training run as MLflow shows it."""

    key: str
    """musenet's run id."""
    name: str
    parameters: Mapping[str, Any]
    """May be nested."""
    dataset: DatasetReference
    metrics: Path
    """Its `metrics.jsonl`."""
    files: tuple[Path, ...] = ()
    """Further files that are kept with the run when it has ended, such as its configuration and logs."""
    tags: Mapping[str, str] = field(default_factory=dict)
    parent: ParentModel | None = None
    """The model that it began with."""


@dataclass(frozen=True)
class UploadProgress:
    """The part of a run's events that MLflow has."""

    offset: int = 0
    """Bytes of `metrics.jsonl`."""
    step: int = -1
    """The last step whose StepTrained event is uploaded."""
    evaluation: int = -1
    """The last step whose Evaluated event is uploaded."""
    samples: int = -1
    """The last step whose samples are uploaded."""


def next_rows(metrics: Path, progress: UploadProgress) -> tuple[list[MetricRow], UploadProgress]:
    """Read the metrics that follow a position in the file; return them with the position behind them."""
    events, offset = read_new_events(metrics, progress.offset, BYTES_PER_UPLOAD)
    rows, step, evaluation = [], progress.step, progress.evaluation
    for event in events:
        match event:
            case StepTrained() if event.step > step:
                step = event.step
                rows.append(MetricRow(event.step, event.time, metrics_of(event)))
            case Evaluated() if event.step > evaluation:
                evaluation = event.step
                rows.append(MetricRow(event.step, event.time, metrics_of(event)))
    return rows, replace(progress, offset=offset, step=step, evaluation=evaluation)


class _Connection:
    """An open MLflow run and the progress of its upload. All methods raise RegistryError."""

    def __init__(self, lake: Lake, run: TrackedRun) -> None:
        self.metrics, self.folder = run.metrics, RunFolder(run.metrics.parent)
        self.registry = Registry.open(lake)
        self.run_id = open_run(self.registry, run.key, run.name, run.parameters, run.dataset, parent=run.parent)
        with registry_errors():
            log_metrics(self.registry, self.run_id, [], run.tags)
            progress = tag_of(self.registry, self.run_id, PROGRESS_TAG)
            self.checkpoints = LoggedCheckpoints(
                self.registry, self.run_id, run.name, run.dataset, run.parameters, self.folder.checkpoints
            )
        self.progress = UploadProgress() if progress is None else UploadProgress(**json.loads(progress))

    def reopen(self) -> None:
        """Set the run's status to RUNNING."""
        with registry_errors():
            reopen_run(self.registry, self.run_id)

    def upload(self) -> int:
        """Upload all new events, samples and checkpoints; return the number of rows."""
        uploaded = 0
        while True:
            rows, progress = next_rows(self.metrics, self.progress)
            if progress == self.progress:
                break
            self._log(rows, progress)
            uploaded += len(rows)
        self._upload_samples()
        with registry_errors():
            self.checkpoints.update(self.metrics)
        return uploaded

    def _log(self, rows: Sequence[MetricRow], progress: UploadProgress) -> None:
        with registry_errors():
            log_metrics(self.registry, self.run_id, rows, {PROGRESS_TAG: json.dumps(asdict(progress))})
        self.progress = progress

    def _upload_samples(self) -> None:
        """Upload the samples of evaluations, which appear in whole folders."""
        for folder in sorted(self.folder.samples.glob("step*")):
            step = int(folder.name.removeprefix("step"))
            if step > self.progress.samples:
                with registry_errors():
                    where = f"{self.folder.samples.name}/{folder.name}"
                    self.registry.client.log_artifacts(self.run_id, str(folder), where)
                    self._upload_audio(folder, where)
                self._log([], replace(self.progress, samples=step))

    def _upload_audio(self, folder: Path, where: str) -> None:
        """Upload samples as MLflow's page can play them, where audio can be rendered here."""
        with tempfile.TemporaryDirectory() as scratch:
            for name, audio in rendered_files(folder):
                file = Path(scratch, name)
                file.write_bytes(audio)
                self.registry.client.log_artifact(self.run_id, str(file), where)

    def end(self, status: str, files: Sequence[Path] = ()) -> None:
        """Upload files and plots, then close the run."""
        with registry_errors():
            for file in files:
                if file.exists():
                    self.registry.client.log_artifact(self.run_id, str(file))
            if (plots := draw_training(self.metrics)) is not None:
                self.registry.client.log_figure(self.run_id, plots, PLOTS)
            self.checkpoints.link()
            stopped = early_end(newest_attempt(list(read_events(self.metrics))))
            log_metrics(self.registry, self.run_id, [], {STOPPED_TAG: "" if stopped is None else stopped.reason})
            end_run(self.registry, self.run_id, status)


def upload_remaining(lake: Lake, run: TrackedRun, on_warning: OnWarning) -> None:
    """Upload the events of a finished run that MLflow has missed. Failures are passed to `on_warning`."""
    try:
        connection = _Connection(lake, run)
        if connection.upload():
            connection.end("FINISHED", (run.metrics, *run.files))
    except (RegistryError, OSError) as error:
        on_warning(_warning(error))


class Uploader:
    """Uploads a run's events during a block, and closes MLflow's run when the block ends.

    The first failure of MLflow is passed to `on_warning`, in one line; none reaches the block.
    """

    def __init__(self, lake: Lake, run: TrackedRun, on_warning: OnWarning) -> None:
        self._lake, self._run = lake, run
        self._on_warning = on_warning
        self._connection: tuple[_Connection, SystemMetrics] | None = None
        self._warned = False
        self._status = ""
        self._ended = threading.Event()
        # MLflow may take minutes to fail, and the caller's thread has a job to follow.
        self._thread = threading.Thread(target=self._work, name="mlflow-uploader", daemon=True)

    def __enter__(self) -> Uploader:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failed = "FAILED" if kind is not None and issubclass(kind, Exception) else "KILLED"
        self._status = "FINISHED" if kind is None else failed
        self._ended.set()
        self._thread.join(LAST_SECONDS)
        if self._thread.is_alive():
            self._warn(RegistryError("no answer"))

    def _work(self) -> None:
        while not self._ended.is_set():
            self._upload()
            self._ended.wait(SECONDS_BETWEEN_UPLOADS)
        self._upload()

    def _upload(self) -> None:
        """Upload new events and a sample of the system's metrics; after the block, the run's final status too."""
        ended = self._ended.is_set()  # read first, so that no event is added behind the last upload
        try:
            connection, system = self._connection or self._connect()
            connection.upload()
            system.sample()
            if ended:
                connection.end(self._status, (self._run.metrics, *self._run.files))
        except (RegistryError, OSError) as error:
            self._connection = None
            self._warn(error)

    def _connect(self) -> tuple[_Connection, SystemMetrics]:
        connection = _Connection(self._lake, self._run)
        connection.reopen()
        self._connection = connection, SystemMetrics(connection.registry, connection.run_id)
        return self._connection

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._on_warning(_warning(error))
        self._warned = True


def _warning(error: Exception) -> str:
    return f"MLflow: {' '.join(str(error).split())}; training goes on, missing metrics are uploaded later"
