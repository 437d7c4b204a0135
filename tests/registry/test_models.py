"""Model versions: registered once, found by alias or number, pulled as the same files."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest

from infra.lake import Lake
from registry.errors import RegistryError
from registry.identity import folder_digest
from registry.lineage import DatasetReference
from registry.manifest import ChangedFile
from registry.models import (
    CHAMPION,
    RegisteredModel,
    UnknownModel,
    find_model,
    list_models,
    set_alias,
)
from registry.publishing import Measured, register
from registry.pulling import pull, pull_version
from registry.runs import begin_run
from registry.store import Registry


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, make_registry: Callable[[Lake], Registry]) -> Registry:
    return make_registry(Lake(tmp_path_factory.mktemp("lake")))


def registered(store: Registry, bundle: Path, dataset: DatasetReference) -> RegisteredModel:
    run_id = begin_run(store, uuid.uuid4().hex, "tiny", {})
    measured = Measured(400, 1_700_000_000.0, {"nats_per_note": 5.5})
    tags = {"preset": "tiny"}
    return register(store, run_id, bundle, dataset, tags, "A **card**.", name="tiny-0123", measured=measured)


@pytest.fixture(scope="module")
def versions(
    store: Registry, bundle: Path, other_bundle: Path, dataset: DatasetReference
) -> tuple[RegisteredModel, RegisteredModel]:
    return registered(store, bundle, dataset), registered(store, other_bundle, dataset)


def test_an_empty_registry_says_how_to_begin(tmp_path: Path, make_registry: Callable[[Lake], Registry]) -> None:
    empty = make_registry(Lake(tmp_path))
    assert list_models(empty) == []
    with pytest.raises(UnknownModel, match="no model 'champion': none is registered yet; `musenet models import"):
        find_model(empty, CHAMPION)


class TestAVersion:
    def test_is_numbered_and_knows_where_it_came_from(
        self, versions: tuple[RegisteredModel, RegisteredModel], dataset: DatasetReference
    ) -> None:
        first, second = versions
        assert (first.version, second.version) == ("1", "2")
        assert first.uri == "models:/musenet/1"
        assert first.dataset == f"starter@{dataset.digest}"
        assert first.tags["preset"] == "tiny"

    def test_belongs_to_the_run_that_made_it(
        self, store: Registry, versions: tuple[RegisteredModel, RegisteredModel]
    ) -> None:
        assert store.client.get_run(versions[0].run_id).data.tags["musenet.run"]

    def test_has_its_card(self, store: Registry, versions: tuple[RegisteredModel, RegisteredModel]) -> None:
        assert store.client.get_model_version("musenet", "1").description == "A **card**."

    def test_is_a_logged_model_with_its_name_figures_and_dataset(
        self, store: Registry, versions: tuple[RegisteredModel, RegisteredModel], dataset: DatasetReference
    ) -> None:
        run = store.client.get_run(versions[0].run_id)
        (output,) = run.outputs.model_outputs
        logged = store.client.get_logged_model(output.model_id)
        assert (logged.name, logged.model_type, str(logged.status)) == ("tiny-0123", "musenet", "READY")
        (metric,) = logged.metrics
        assert (metric.key, metric.value, metric.step) == ("nats_per_note", 5.5, 400)
        assert (metric.dataset_name, metric.dataset_digest) == (dataset.name, dataset.digest)
        assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": "musenet", "version": "1"}]
        assert store.client.get_model_version("musenet", "1").source == f"models:/{logged.model_id}"
        assert "champion" in store.client.get_registered_model("musenet").description

    def test_is_of_a_run_that_names_user_code_and_source(
        self, store: Registry, versions: tuple[RegisteredModel, RegisteredModel]
    ) -> None:
        tags = store.client.get_run(versions[0].run_id).data.tags
        assert tags["mlflow.user"] and tags["mlflow.source.name"] == "musenet train"
        assert len(tags["mlflow.source.git.commit"]) == 40

    def test_holds_no_pickle_and_needs_no_local_build(
        self, store: Registry, versions: tuple[RegisteredModel, RegisteredModel]
    ) -> None:
        folder = pull_version(store, versions[0])
        names = {path.name for path in folder.rglob("*")}
        assert not any(name.endswith((".pkl", ".pickle", ".pt", ".pth", ".pyc")) for name in names)
        assert {"MLmodel", "musenet_model.py", "model.safetensors", "pyfunc_model.py"} <= names
        needed = (folder / "requirements.txt").read_text().splitlines()
        assert all(re.fullmatch(r"[a-z-]+==[\d.]+(\.post\d+)?", line) for line in needed), needed

    def test_that_cannot_be_stored_leaves_nothing(
        self,
        store: Registry,
        make_bundle: Callable[..., Path],
        dataset: DatasetReference,
        versions: tuple[RegisteredModel, RegisteredModel],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fails(*_: object) -> None:
            raise OSError("disk full")

        monkeypatch.setattr(store.client, "log_model_artifacts", fails)
        with pytest.raises(RegistryError, match="the model cannot be registered: disk full"):
            registered(store, make_bundle(seed=2), dataset)
        assert [model.version for model in list_models(store)] == ["1", "2"]
        assert len(store.client.search_logged_models([store.experiment_id])) == 2

    def test_is_registered_once(
        self,
        store: Registry,
        versions: tuple[RegisteredModel, RegisteredModel],
        bundle: Path,
        dataset: DatasetReference,
    ) -> None:
        assert registered(store, bundle, dataset).version == "1"
        assert [model.version for model in list_models(store)] == ["1", "2"]

    def test_is_pulled_as_the_files_that_went_in(
        self,
        store: Registry,
        versions: tuple[RegisteredModel, RegisteredModel],
        bundle: Path,
        other_bundle: Path,
    ) -> None:
        assert folder_digest(pull(store, versions[0])) == folder_digest(bundle)
        assert folder_digest(pull(store, versions[1])) == folder_digest(other_bundle)


class TestAliases:
    def test_name_a_version_and_move(self, store: Registry, versions: tuple[RegisteredModel, RegisteredModel]) -> None:
        set_alias(store, "1", CHAMPION)
        assert find_model(store, CHAMPION).version == "1"
        set_alias(store, "2", CHAMPION)
        assert find_model(store, CHAMPION).version == "2"
        assert [model.aliases for model in list_models(store)] == [(), (CHAMPION,)]

    def test_a_version_may_have_several(
        self, store: Registry, versions: tuple[RegisteredModel, RegisteredModel]
    ) -> None:
        for alias in (CHAMPION, "candidate"):
            set_alias(store, "2", alias)
        assert find_model(store, "2").aliases == ("candidate", CHAMPION)

    @pytest.mark.parametrize("alias", ["latest", "v1"])
    def test_some_names_are_mlflows_own(
        self, store: Registry, versions: tuple[RegisteredModel, RegisteredModel], alias: str
    ) -> None:
        with pytest.raises(RegistryError, match=f"version 1 cannot be named '{alias}': .*reserved"):
            set_alias(store, "1", alias)

    def test_an_unknown_one_lists_those_that_exist(
        self, store: Registry, versions: tuple[RegisteredModel, RegisteredModel]
    ) -> None:
        set_alias(store, "2", CHAMPION)
        with pytest.raises(UnknownModel, match=r"no model 'best'; there are: .*champion, 1, 2"):
            find_model(store, "best")
        with pytest.raises(UnknownModel, match="no model '3'"):
            find_model(store, "3")


class TestAChangedFile:
    @pytest.fixture
    def folder(self, store: Registry, make_bundle: Callable[..., Path], dataset: DatasetReference) -> Path:
        return pull_version(store, registered(store, make_bundle(seed=3), dataset))

    def test_is_refused_when_it_is_pulled_and_when_it_is_loaded(self, store: Registry, folder: Path) -> None:
        weights = folder / "artifacts" / "bundle" / "model.safetensors"
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1  # one bit
        weights.write_bytes(data)
        changed = rf"{weights} was changed after it was registered .*; pull the version again, or register its run"
        with pytest.raises(ChangedFile, match=changed):
            pull(store, find_model(store, "3"))
        with pytest.raises(ChangedFile, match=changed):
            mlflow.pyfunc.load_model(str(folder))


class TestTheDigestOfAFolder:
    def test_is_of_names_and_bytes(self, tmp_path: Path) -> None:
        for name in ("one", "two", "three"):
            (tmp_path / name / "below").mkdir(parents=True)
            (tmp_path / name / "below" / "file").write_bytes(b"data")
        assert folder_digest(tmp_path / "one") == folder_digest(tmp_path / "two")
        (tmp_path / "two" / "below" / "file").write_bytes(b"date")
        (tmp_path / "three" / "below" / "file").rename(tmp_path / "three" / "file")
        assert len({folder_digest(tmp_path / name) for name in ("one", "two", "three")}) == 3
