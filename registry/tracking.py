"""Tracking: training runs with parameters, metrics and state, in MLflow on SQLite."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunStatus
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

EXPERIMENT = "musenet"
TRAINING_EXPERIMENT = {"mlflow.experimentKind": "custom_model_development"}
"""Lets MLflow's page show runs and metrics rather than traces."""
BATCH = 500
"""Metrics sent at once; MLflow takes at most 1000."""


class RegistryError(RuntimeError):
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


def find_run(registry: Registry, run_key: str) -> str | None:
    """MLflow's id of the run with our key, if it has one."""
    runs = registry.client.search_runs(
        [registry.experiment_id], filter_string=f"tags.`musenet.run` = '{run_key}'", max_results=1
    )
    return runs[0].info.run_id if runs else None


def begin_run(registry: Registry, run_key: str, name: str, parameters: Mapping[str, Any]) -> str:
    """Open a new run under our key; returns MLflow's id. `parameters` may be nested: dotted names are logged."""
    run = registry.client.create_run(registry.experiment_id, run_name=name, tags={"musenet.run": run_key})
    params = [Param(key, str(value)) for key, value in flattened(parameters).items()]
    registry.client.log_batch(run.info.run_id, params=params)
    return str(run.info.run_id)


def reopen_run(registry: Registry, run_id: str) -> None:
    """Mark a run as running again, whatever became of an earlier attempt."""
    registry.client.update_run(run_id, status=RunStatus.to_string(RunStatus.RUNNING))


def flattened(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` → `{"a.b": 1}`."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def log_metrics(registry: Registry, run_id: str, rows: Sequence[tuple[int, Mapping[str, float]]]) -> None:
    """Log (step, values) rows."""
    now = int(time.time() * 1000)
    metrics = [Metric(name, value, now, step) for step, values in rows for name, value in values.items()]
    for first in range(0, len(metrics), BATCH):
        registry.client.log_batch(run_id, metrics=metrics[first : first + BATCH])


def end_run(registry: Registry, run_id: str, succeeded: bool) -> None:
    """Close a run as finished or failed."""
    registry.client.set_terminated(run_id, status="FINISHED" if succeeded else "FAILED")
