"""A sweep in MLflow: a run whose children are the training runs of its trials."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from infra.lake import Lake
from registry.errors import RegistryError, registry_errors
from registry.lineage import DatasetReference
from registry.runs import MetricRow, end_run, log_metrics, open_run, reopen_run
from registry.store import Registry

SWEEP_TAG, TRIAL_TAG = "musenet.sweep", "musenet.trial"
BEST_TAG = "musenet.best"
"""The training run with the lowest loss."""
PAGE = "trials.md"


class SweepRun:
    """The run of a sweep. Methods raise RegistryError."""

    def __init__(self, registry: Registry, run_id: str, name: str) -> None:
        self._registry = registry
        self._run_id = run_id
        self._name = name

    @classmethod
    @contextmanager
    def open(
        cls, lake: Lake, name: str, parameters: Mapping[str, Any], dataset: DatasetReference
    ) -> Iterator[SweepRun]:
        """Create the run of a sweep, or take it up again; what ends the block by an exception closes it as failed, or
        killed if it is no error of the sweep's own."""
        registry = Registry.open(lake)
        run_id = open_run(registry, f"sweep:{name}", f"sweep {name}", parameters, dataset, "musenet sweep")
        with registry_errors():
            reopen_run(registry, run_id)
            registry.client.set_tag(run_id, SWEEP_TAG, name)
        try:
            yield cls(registry, run_id, name)
        except BaseException as error:
            with suppress(RegistryError), registry_errors():  # recovery closes it later
                end_run(registry, run_id, "FAILED" if isinstance(error, Exception) else "KILLED")
            raise

    def tags_of(self, trial: int) -> dict[str, str]:
        """Return the tags that make a training run a child of this one."""
        return {MLFLOW_PARENT_RUN_ID: self._run_id, SWEEP_TAG: self._name, TRIAL_TAG: str(trial)}

    def log(self, name: str, value: float, best: float, trial: int) -> None:
        """Log the loss of a trial and the best one so far, with the trial's number as the step."""
        with registry_errors():
            row = MetricRow(trial, time.time(), {name: value, f"best_{name}": best})
            log_metrics(self._registry, self._run_id, [row])

    def end(self, table: str, best: str | None) -> None:
        """Keep the table of all trials, as Markdown, and the best training run, and close the run."""
        with registry_errors():
            self._registry.client.log_text(self._run_id, table, PAGE)
            log_metrics(self._registry, self._run_id, [], {} if best is None else {BEST_TAG: best})
            end_run(self._registry, self._run_id, "FINISHED")
