"""Training runs in MLflow: found by musenet's run id, with parameters, metrics, dataset and status."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow.entities import Metric, Param, RunStatus, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT

from infra.settings import flatten
from modeling.config import ParentModel
from registry.errors import registry_errors
from registry.lineage import DatasetReference, log_dataset, log_parent, parent_tags
from registry.provenance import CHANGED_TAG, VERSION_TAG, provenance
from registry.store import Registry

RUN_KEY = "musenet.run"
"""Tag of an MLflow run that holds musenet's run id."""
BATCH = 500
"""Metrics sent at once; MLflow takes at most 1000."""
NOT_IN_NAMES = re.compile(r"[^\w\-. /:]")
"""Characters that MLflow refuses in a metric's name."""


@dataclass(frozen=True)
class MetricRow:
    """The metrics of one step."""

    step: int
    time: float
    """Seconds since the epoch."""
    values: Mapping[str, float]
    """By name; characters that MLflow refuses in names become `_`."""


def find_run(registry: Registry, run_key: str) -> str | None:
    """Return MLflow's id of the run with musenet's id `run_key`; None if there is none."""
    runs = registry.client.search_runs(
        [registry.experiment_id], filter_string=f"tags.`{RUN_KEY}` = '{run_key}'", max_results=1
    )
    return runs[0].info.run_id if runs else None


def begin_run(
    registry: Registry,
    run_key: str,
    name: str,
    parameters: Mapping[str, Any],
    source: str = "musenet train",
    parent: ParentModel | None = None,
) -> str:
    """Create a run with musenet's id `run_key`; return MLflow's id. Nested `parameters` are logged by dotted name.

    `source`: the command that made it. `parent`: the model that it began with.
    """
    run = registry.client.create_run(registry.experiment_id, run_name=name)
    params = [Param(key, str(value)) for key, value in flatten(parameters).items()]
    about = {RUN_KEY: run_key, **provenance(source), **parent_tags(parent)}
    tags = [RunTag(key, value) for key, value in about.items()]
    # In one batch with the key: a run whose parameters cannot be logged is not found later, and created again.
    registry.client.log_batch(run.info.run_id, params=params, tags=tags)
    if parent is not None:
        log_parent(registry, run.info.run_id, parent)
    return str(run.info.run_id)


def open_run(
    registry: Registry,
    key: str,
    name: str,
    parameters: Mapping[str, Any],
    dataset: DatasetReference,
    source: str = "musenet train",
    parent: ParentModel | None = None,
) -> str:
    """Return MLflow's id of a run, which is created where there is none. Raises RegistryError.

    `parent`: the model that the run began with.
    """
    with registry_errors():
        run_id = find_run(registry, key)
        if run_id is None:
            run_id = begin_run(registry, key, name, parameters, source, parent)
        log_dataset(registry, run_id, dataset, "training")
    return run_id


def reopen_run(registry: Registry, run_id: str) -> None:
    """Set a run's status to RUNNING, whatever the outcome of an earlier attempt."""
    registry.client.update_run(run_id, status=RunStatus.to_string(RunStatus.RUNNING))


def log_metrics(
    registry: Registry, run_id: str, rows: Sequence[MetricRow], tags: Mapping[str, str] | None = None
) -> None:
    """Log metrics, then set tags.

    The same row logged twice is one point: MLflow identifies a point by name, step, time and value.
    """
    metrics = [
        Metric(NOT_IN_NAMES.sub("_", name), value, int(row.time * 1000), row.step)
        for row in rows
        for name, value in row.values.items()
    ]
    for first in range(0, len(metrics), BATCH):
        registry.client.log_batch(run_id, metrics=metrics[first : first + BATCH])
    if tags:
        registry.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])


def tag_of(registry: Registry, run_id: str, name: str) -> str | None:
    """Return a run's tag; None if it has none of that name."""
    value = registry.client.get_run(run_id).data.tags.get(name)
    return None if value is None else str(value)


def code_of(registry: Registry, run_id: str) -> str:
    """Return the code that made a run in words: `musenet 0.1.0, commit 0123abcd and changes to it`."""
    tags = registry.client.get_run(run_id).data.tags
    words = f"musenet {tags.get(VERSION_TAG, 'of an unknown version')}"
    if (commit := tags.get(MLFLOW_GIT_COMMIT)) is not None:
        words += f", commit `{commit}`{' and changes to it' if tags.get(CHANGED_TAG) == 'true' else ''}"
    return words


def keep_page(registry: Registry, run_id: str, name: str, html: str) -> None:
    """Write a page among a run's artifacts, in the place of an earlier one of that name. Raises RegistryError."""
    with registry_errors():
        registry.client.log_text(run_id, html, name)


def close_dead_runs(registry: Registry, is_dead: Callable[[str], bool]) -> int:
    """Close as `KILLED` the running ones whose key is that of a dead run; return how many. Raises RegistryError."""
    with registry_errors():
        running = registry.client.search_runs([registry.experiment_id], filter_string="attributes.status = 'RUNNING'")
        dead = [run for run in running if RUN_KEY in run.data.tags and is_dead(run.data.tags[RUN_KEY])]
        for run in dead:
            end_run(registry, run.info.run_id, "KILLED")
    return len(dead)


def end_run(registry: Registry, run_id: str, status: str) -> None:
    """Close a run as `FINISHED`, `FAILED` or `KILLED`."""
    registry.client.set_terminated(run_id, status=status)
