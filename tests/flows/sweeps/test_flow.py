"""The sweep flow over trainings that are finished already: trials, failures, their runs in MLflow, and going on."""

from __future__ import annotations

import shutil

import pytest

from flows.sweeps.flow import sweep
from flows.sweeps.parameters import SweepParameters
from flows.sweeps.report import SweepReport
from flows.sweeps.sweep_file import SweepFile
from flows.training.history import read_history
from flows.training.runs import Run, prepare_run
from infra.lake import Lake
from modeling.config import choose_preset, load_preset
from modeling.training.events import Finished, append_event
from registry.runs import find_run
from registry.store import Registry
from registry.sweeps import BEST_TAG, TRIAL_TAG
from tokenization.dataset import DatasetVersion

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_api")]

FILE = SweepFile(
    name="shapes",
    dataset="songs",
    trials=4,
    model={"layers": 1, "d_model": 16, "context": 64, "sparsity": {"mode": "dense"}},
    training={"steps": 4},
    search={"training.seed": [1, 2], "model.heads": [2, 3]},
)
"""Of width 16, which three heads cannot share."""


def finish(lake: Lake, dataset: DatasetVersion, like: Run, seed: int) -> str:
    """Leave what training of a seed would; its loss is 7 by the seed 1, 6 by 2."""
    preset = choose_preset(load_preset("tiny"), {**FILE.fixed, "training.seed": seed, "model.heads": 2})
    run = prepare_run(lake, dataset, preset, ranks=1)
    append_event(run.folder.metrics, read_history(like.folder.metrics).start)
    end = Finished(step=4, best_step=4, seconds=1.0, nats_per_token=2.0, nats_per_note=8.0 - seed)
    append_event(run.folder.metrics, end)
    shutil.copytree(like.folder.model, run.folder.model)
    return run.run_id


@pytest.fixture(scope="module")
def swept(studio: tuple[Lake, DatasetVersion, Run]) -> tuple[Lake, dict[int, str], SweepReport, SweepReport]:
    """The lake, the run of each seed, and the reports of a sweep after two trials and after all."""
    lake, dataset, run = studio
    runs = {seed: finish(lake, dataset, run, seed) for seed in (1, 2)}
    first, whole = (
        sweep(SweepParameters(file=FILE.model_copy(update={"trials": trials}), lake=lake.address))
        for trials in (2, FILE.trials)
    )
    return lake, runs, first, whole


def test_a_trial_is_a_training_and_what_cannot_be_trained_has_failed(swept) -> None:
    _, runs, _, whole = swept
    assert len(whole.trials) == FILE.trials
    assert {each.settings["model.heads"] for each in whole.trials} == {2, 3}
    for trial in whole.trials:
        seed = trial.settings["training.seed"]
        if trial.settings["model.heads"] == 3:
            assert trial.value is None and trial.why is not None and "heads" in trial.why
        else:
            assert (trial.value, trial.run) == (8.0 - seed, runs[seed])
    assert whole.best is not None and whole.best.run == runs[2]


def test_a_sweep_goes_on_with_the_trials_that_it_has(swept) -> None:
    _, _, first, whole = swept
    assert len(first.trials) == 2
    assert all(each in whole.trials for each in first.trials)


def test_it_is_a_run_in_mlflow_with_its_trainings_below(swept) -> None:
    lake, runs, _, whole = swept
    registry = Registry.open(lake)
    parent = registry.client.get_run(find_run(registry, "sweep:shapes"))
    assert (parent.info.status, parent.data.tags[BEST_TAG]) == ("FINISHED", runs[2])
    losses = registry.client.get_metric_history(parent.info.run_id, "nats_per_note")
    assert {(each.step, each.value) for each in losses} == {
        (each.number, each.value) for each in whole.trials if each.value is not None
    }
    for run in runs.values():
        tags = registry.client.get_run(find_run(registry, run)).data.tags
        assert tags["mlflow.parentRunId"] == parent.info.run_id
        assert int(tags[TRIAL_TAG]) in {each.number for each in whole.trials if each.run == run}
