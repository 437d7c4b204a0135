"""The store: created, found again, in the lake or where MLflow's variables say, and whatever it refuses in one line."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import mlflow
import pytest

from infra.lake import Lake
from registry.errors import RegistryError, first_line, registry_errors
from registry.identity import EXPERIMENT
from registry.lineage import DatasetReference, log_dataset
from registry.relocation import relocate
from registry.runs import MetricRow, begin_run, log_metrics
from registry.store import Registry


class TestTheStore:
    def test_is_made_where_there_is_none_and_found_again(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path / "deep" / "lake")
        first, again = Registry.open(lake), Registry.open(lake)
        assert again.experiment_id == first.experiment_id
        experiment = first.client.get_experiment_by_name(EXPERIMENT)
        assert experiment.artifact_location == lake.registry_artifacts.as_uri()

    def test_a_file_that_is_no_database_is_an_error_in_one_line(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        lake.registry_database.parent.mkdir()
        lake.registry_database.write_text("no database" * 1000)
        with pytest.raises(RegistryError, match=r"the registry in .*mlflow\.db cannot be opened: .+") as error:
            Registry.open(lake)
        assert "\n" not in str(error.value)

    def test_lies_where_the_user_s_variable_says(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        lake, elsewhere = Lake(tmp_path / "lake"), tmp_path / "mlflow.db"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{elsewhere}")
        monkeypatch.setenv("MLFLOW_DEFAULT_ARTIFACT_ROOT", "s3://bucket/models")
        store = Registry.open(lake)
        assert elsewhere.exists() and not lake.registry_database.exists()
        assert store.client.get_experiment_by_name(EXPERIMENT).artifact_location == "s3://bucket/models"

    @pytest.mark.parametrize("uri", ["nonsense://a:secret@b/c", "postgresql://musenet:secret@127.0.0.1:1/mlflow"])
    def test_that_cannot_be_reached_is_named_without_its_password(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
    ) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        monkeypatch.setenv("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", "1")
        with pytest.raises(RegistryError, match="cannot be opened") as error:
            Registry.open(Lake(tmp_path))
        assert "secret" not in str(error.value) and "\n" not in str(error.value)


class TestAsMlflowSOwn:
    @pytest.mark.parametrize("chosen", [None, "sqlite:///elsewhere.db"])
    def test_it_is_for_a_block_whatever_the_process_has_chosen(self, chosen: str | None, registry: Registry) -> None:
        try:
            mlflow.set_tracking_uri(chosen)  # type: ignore[arg-type]
            before = mlflow.get_tracking_uri(), os.environ.get("MLFLOW_TRACKING_URI")
            with registry.as_default():
                assert mlflow.get_tracking_uri() == registry.uri
            assert (mlflow.get_tracking_uri(), os.environ.get("MLFLOW_TRACKING_URI")) == before
        finally:
            mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


class TestALakeThatWasCopied:
    @pytest.fixture
    def original(self, registry: Registry, tmp_path: Path, dataset: DatasetReference) -> tuple[Lake, str]:
        lake = Lake(tmp_path / "a place" / "lake")
        shutil.copytree(registry.cache.parents[1], lake.root)
        store = Registry.open(lake)
        run = begin_run(store, "0123456789ab", "tiny", {})
        source = DatasetReference("songs", dataset.digest, str(lake.datasets / "songs"), {})
        log_dataset(store, run, source, "training")
        return lake, run

    def test_names_its_own_files_and_the_original_keeps_its_own(
        self, original: tuple[Lake, str], tmp_path: Path
    ) -> None:
        lake, run = original
        copy = Lake(tmp_path / "copy")
        shutil.copytree(lake.root, copy.root)
        for place in (copy, lake):
            store = Registry.open(place)
            found = store.client.get_run(run)
            assert found.info.artifact_uri == f"{place.registry_artifacts.as_uri()}/{run}/artifacts"
            assert str(place.datasets / "songs") in found.inputs.dataset_inputs[0].dataset.source

    def test_is_the_same_under_a_link(self, original: tuple[Lake, str], tmp_path: Path) -> None:
        lake, _ = original
        (tmp_path / "link").symlink_to(lake.root)
        assert relocate(Lake(tmp_path / "link")) is None

    def test_that_cannot_be_written_is_refused(
        self, original: tuple[Lake, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lake, _ = original
        copy = Lake(tmp_path / "copy")
        shutil.copytree(lake.root, copy.root)
        lock = sqlite3.connect(copy.registry_database)
        lock.execute("begin exclusive")
        monkeypatch.setattr("registry.relocation.BUSY_SECONDS", 0.01)
        with pytest.raises(RegistryError, match=r"mlflow\.db cannot be opened: database is locked"):
            relocate(copy)
        lock.close()


def test_whatever_a_store_refuses_is_first_line(registry: Registry) -> None:
    with pytest.raises(RegistryError) as error, registry_errors():
        log_metrics(registry, "0" * 32, [MetricRow(1, 0.0, {"loss": 1.0})])
    assert "\n" not in str(error.value)
    with pytest.raises(RegistryError, match=r"^disk full$"), registry_errors():
        raise OSError("disk full\nand more")


def test_the_first_line_of_an_error_or_else_its_kind() -> None:
    assert first_line(ValueError("first\nsecond")) == "first"
    assert first_line(ValueError()) == "ValueError"
