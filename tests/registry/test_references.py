"""References: what in MLflow was made from which dataset version and run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.lake import Lake
from registry import references
from registry.lineage import DatasetReference
from registry.models import CHAMPION, set_alias
from registry.publishing import register
from registry.references import Reference, list_references
from registry.runs import begin_run
from registry.store import Registry


def test_runs_and_model_versions_refer_to_their_dataset_and_run(
    tmp_path: Path,
    bundle: Path,
    dataset: DatasetReference,
    make_registry: Callable[[Lake], Registry],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(references, "PAGE", 2)  # more runs than one answer holds
    store = make_registry(Lake(tmp_path))
    assert list_references(store) == []
    ids = [begin_run(store, f"run{n}", f"tiny-run{n}", {"dataset": f"songs@{n}"}) for n in range(3)]
    model = register(store, ids[0], bundle, dataset, {"run": "run0"}, "A card.")
    set_alias(store, model.version, CHAMPION)
    first, *runs = list_references(store)
    assert first == Reference("model musenet 1 (champion)", f"starter@{dataset.digest}", "run0")
    assert sorted(runs, key=lambda each: each.run) == [
        Reference(f"MLflow run tiny-run{n}", f"songs@{n}", f"run{n}") for n in range(3)
    ]
