"""The checkpoints of a training run as logged models in MLflow: one for each that is kept, with its figures.

Weights and optimiser stay where training put them; a logged model says where that is. MLflow's page then lists and
compares checkpoints of all runs by their losses, and a version that is registered later stands beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric

from infra.settings import flatten
from modeling.training.event_metrics import metrics_of
from modeling.training.events import Evaluated, StepTrained, read_events
from registry.lineage import DatasetReference
from registry.runs import NOT_IN_NAMES
from registry.store import Registry

MODEL_TYPE = "checkpoint"
STEP_TAG, FOLDER_TAG = "step", "folder"


class LoggedCheckpoints:
    """The logged models of a run's checkpoints, kept in step with the folder that holds them."""

    def __init__(
        self,
        registry: Registry,
        run_id: str,
        name: str,
        dataset: DatasetReference,
        parameters: Mapping[str, object],
        folder: Path,
    ) -> None:
        """Find those that were logged before. `folder` holds a run's checkpoints, `step00000300` and so on."""
        self._registry = registry
        self._run_id = run_id
        self._name = name
        self._dataset = dataset
        self._parameters = {key: str(value) for key, value in flatten(parameters).items()}
        self._folder = folder
        found = registry.client.search_logged_models(
            [registry.experiment_id], filter_string=f"source_run_id = '{run_id}' AND model_type = '{MODEL_TYPE}'"
        )
        self._models = {int(model.tags[STEP_TAG]): str(model.model_id) for model in found if STEP_TAG in model.tags}

    def update(self, metrics: Path) -> None:
        """Log the checkpoints that are new on disk, with the figures of their steps, and delete those that are gone."""
        kept = {int(path.name.removeprefix("step")): path for path in self._folder.glob("step*") if path.is_dir()}
        new = sorted(kept.keys() - self._models.keys())
        for step in self._models.keys() - kept.keys():
            self._registry.client.delete_logged_model(self._models.pop(step))
        if not new:
            return
        events = [event for event in read_events(metrics) if isinstance(event, StepTrained | Evaluated)]
        for step in new:
            self._models[step] = self._log(step, kept[step], [event for event in events if event.step == step])

    def link(self) -> None:
        """Make the checkpoints that are left outputs of the run, once it has ended: no more of them will go."""
        found = self._registry.client.get_run(self._run_id).outputs
        linked = {each.model_id for each in found.model_outputs} if found is not None else set()
        outputs = [LoggedModelOutput(own, step) for step, own in sorted(self._models.items()) if own not in linked]
        if outputs:
            self._registry.client.log_outputs(self._run_id, outputs)

    def _log(self, step: int, folder: Path, events: Sequence[StepTrained | Evaluated]) -> str:
        client, dataset = self._registry.client, self._dataset
        tags = {STEP_TAG: str(step), FOLDER_TAG: str(folder), "dataset": str(dataset)}
        model = client.create_logged_model(
            self._registry.experiment_id, f"{self._name}-step{step}", self._run_id, tags, self._parameters, MODEL_TYPE
        )
        model_id = str(model.model_id)
        # The same points as those of the run, which MLflow then keeps once, and lists with the model too.
        figures = [
            Metric(
                NOT_IN_NAMES.sub("_", name),
                value,
                int(event.time * 1000),
                step,
                model_id=model_id,
                dataset_name=dataset.name,
                dataset_digest=dataset.digest,
            )
            for event in events
            for name, value in metrics_of(event).items()
        ]
        if figures:
            client.log_batch(self._run_id, metrics=figures)
        client.finalize_logged_model(model_id, LoggedModelStatus.READY)
        return model_id
