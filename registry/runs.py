"""Tracking: training runs with parameters, metrics and state, in MLflow on SQLite."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from infra.errors import RunError
from infra.settings import flatten

EXPERIMENT = "musenet"
RUN_KEY = "musenet.run"
"""Tag of an MLflow run that holds our own run's id."""
TRAINING_EXPERIMENT = {"mlflow.experimentKind": "custom_model_development"}
"""Lets MLflow's page show runs and metrics rather than traces."""
BATCH = 500
"""Metrics sent at once; MLflow takes at most 1000."""
FORBIDDEN = re.compile(r"[^\w\-. /:]")
"""What MLflow takes in no metric's name."""


class RegistryError(RunError):
    """MLflow refused; the message is its own, in one line."""


@dataclass(frozen=True)
class Registry:
    """An open MLflow store."""

    client: MlflowClient
    uri: str
    experiment_id: str

    @classmethod
    def open(cls, database: Path, artifacts: Path) -> Registry:
        """The store in a SQLite file, made and migrated where it does not exist yet.

        Raises RegistryError when the file is no MLflow database of this version.
        """
        database.parent.mkdir(parents=True, exist_ok=True)
        artifacts.mkdir(parents=True, exist_ok=True)
        uri = f"sqlite:///{database}"
        try:
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            experiment = client.get_experiment_by_name(EXPERIMENT)
            if experiment is None:
                experiment_id = client.create_experiment(
                    EXPERIMENT, artifact_location=artifacts.as_uri(), tags=TRAINING_EXPERIMENT
                )
            else:
                experiment_id = experiment.experiment_id
        except (MlflowException, SQLAlchemyError) as error:
            raise RegistryError(f"the registry in {database} cannot be opened: {one_line(error)}") from error
        return cls(client, uri, experiment_id)


def one_line(error: Exception) -> str:
    """The first line of an exception's text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def refusals() -> Iterator[None]:
    """Work with an open store; whatever goes wrong in it is a RegistryError in one line."""
    try:
        yield
    except RegistryError:
        raise
    except Exception as error:  # MLflow's own, SQLAlchemy's, SQLite's, alembic's, the disk's: no list is complete
        raise RegistryError(one_line(error)) from error


def find_run(registry: Registry, run_key: str) -> str | None:
    """MLflow's id of the run with our key, if it has one."""
    runs = registry.client.search_runs(
        [registry.experiment_id], filter_string=f"tags.`{RUN_KEY}` = '{run_key}'", max_results=1
    )
    return runs[0].info.run_id if runs else None


def begin_run(registry: Registry, run_key: str, name: str, parameters: Mapping[str, Any]) -> str:
    """Open a new run under our key; returns MLflow's id. `parameters` may be nested: dotted names are logged."""
    run = registry.client.create_run(registry.experiment_id, run_name=name)
    params = [Param(key, str(value)) for key, value in flatten(parameters).items()]
    # The key comes last: what cannot be described is not found, and begun again.
    registry.client.log_batch(run.info.run_id, params=params, tags=[RunTag(RUN_KEY, run_key)])
    return str(run.info.run_id)


def reopen_run(registry: Registry, run_id: str) -> None:
    """Mark a run as running again, whatever became of an earlier attempt."""
    registry.client.update_run(run_id, status=RunStatus.to_string(RunStatus.RUNNING))


@dataclass(frozen=True)
class Measured:
    """What was measured at a step."""

    step: int
    seconds: float
    """When, as `time.time()` has it."""
    values: Mapping[str, float]
    """By name; characters that MLflow does not take in names become `_`."""


def log_metrics(
    registry: Registry, run_id: str, rows: Sequence[Measured], tags: Mapping[str, str] | None = None
) -> None:
    """Log what was measured, and set tags once it is logged.

    The same row logged twice is one point: MLflow knows a point by name, step, time and value.
    """
    metrics = [
        Metric(FORBIDDEN.sub("_", name), value, int(row.seconds * 1000), row.step)
        for row in rows
        for name, value in row.values.items()
    ]
    for first in range(0, len(metrics), BATCH):
        registry.client.log_batch(run_id, metrics=metrics[first : first + BATCH])
    if tags:
        registry.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])


def tag_of(registry: Registry, run_id: str, name: str) -> str | None:
    """A run's tag, None where it has none of that name."""
    value = registry.client.get_run(run_id).data.tags.get(name)
    return None if value is None else str(value)


def end_run(registry: Registry, run_id: str, status: str) -> None:
    """Close a run as `FINISHED`, `FAILED` or `KILLED`."""
    registry.client.set_terminated(run_id, status=status)
