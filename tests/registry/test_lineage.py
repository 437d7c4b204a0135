"""Lineage: MLflow's run names the dataset version that it was trained on."""

from __future__ import annotations

import json
import uuid

import pytest

from registry.lineage import LONGEST_DIGEST, DatasetReference, log_dataset
from registry.runs import begin_run
from registry.store import Registry


def test_the_dataset_is_an_input_of_the_run(registry: Registry, dataset: DatasetReference) -> None:
    run_id = begin_run(registry, uuid.uuid4().hex, "tiny", {})
    log_dataset(registry, run_id, dataset, "training")
    (logged,) = registry.client.get_run(run_id).inputs.dataset_inputs
    assert (logged.dataset.name, logged.dataset.digest) == ("starter", "0123456789abcdef" * 2)
    assert json.loads(logged.dataset.source) == {"uri": "/lake/datasets/starter"}
    assert json.loads(logged.dataset.profile) == {"pieces": {"train": 80}}
    assert [(tag.key, tag.value) for tag in logged.tags] == [("mlflow.data.context", "training")]


def test_logging_it_again_adds_nothing(registry: Registry, dataset: DatasetReference) -> None:
    run_id = begin_run(registry, uuid.uuid4().hex, "tiny", {})
    for _ in range(2):
        log_dataset(registry, run_id, dataset, "training")
    assert len(registry.client.get_run(run_id).inputs.dataset_inputs) == 1


def test_a_digest_that_mlflow_would_refuse_is_refused_here() -> None:
    assert LONGEST_DIGEST == 36
    DatasetReference("starter", "a" * 36, "", {})
    with pytest.raises(ValueError, match="MLflow keeps 36 characters of a digest"):
        DatasetReference("starter", "a" * 37, "", {})
