"""Model versions: registered once, found by alias or number, pulled as the same files."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from infra.lake import Lake
from registry.errors import RegistryError
from registry.lineage import DatasetReference
from registry.models import (
    CHAMPION,
    RegisteredModel,
    UnknownModel,
    find_model,
    folder_digest,
    list_models,
    pull,
    register,
    set_alias,
)
from registry.runs import begin_run
from registry.store import Registry


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry.open(Lake(tmp_path_factory.mktemp("lake")))


def registered(store: Registry, bundle: Path, dataset: DatasetReference) -> RegisteredModel:
    run_id = begin_run(store, uuid.uuid4().hex, "tiny", {})
    return register(store, run_id, bundle, dataset, {"preset": "tiny"}, "A **card**.")


@pytest.fixture(scope="module")
def versions(
    store: Registry, bundle: Path, other_bundle: Path, dataset: DatasetReference
) -> tuple[RegisteredModel, RegisteredModel]:
    return registered(store, bundle, dataset), registered(store, other_bundle, dataset)


def test_an_empty_registry_says_how_to_begin(tmp_path: Path) -> None:
    empty = Registry.open(Lake(tmp_path))
    assert list_models(empty) == []
    with pytest.raises(UnknownModel, match="no model 'champion': none is registered yet; `musenet demo` makes"):
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


class TestTheDigestOfAFolder:
    def test_is_of_names_and_bytes(self, tmp_path: Path) -> None:
        for name in ("one", "two", "three"):
            (tmp_path / name / "below").mkdir(parents=True)
            (tmp_path / name / "below" / "file").write_bytes(b"data")
        assert folder_digest(tmp_path / "one") == folder_digest(tmp_path / "two")
        (tmp_path / "two" / "below" / "file").write_bytes(b"date")
        (tmp_path / "three" / "below" / "file").rename(tmp_path / "three" / "file")
        assert len({folder_digest(tmp_path / name) for name in ("one", "two", "three")}) == 3
