"""What the tests of `registry` share: a real MLflow store on SQLite and a real, very small model with its critic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.lake import Lake
from registry.composer import Composer
from registry.identity import ModelIdentity
from registry.lineage import DatasetReference
from registry.store import Registry


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, make_registry: Callable[[Lake], Registry]) -> Registry:
    """A store of its own for all tests of this folder."""
    return make_registry(Lake(tmp_path_factory.mktemp("lake")))


@pytest.fixture(scope="session")
def dataset() -> DatasetReference:
    return DatasetReference("starter", "0123456789abcdef" * 2, "/lake/datasets/starter", {"pieces": {"train": 80}})


@pytest.fixture(scope="session")
def bundle(make_bundle: Callable[..., Path]) -> Path:
    return make_bundle()


@pytest.fixture(scope="session")
def other_bundle(make_bundle: Callable[..., Path]) -> Path:
    return make_bundle(seed=1)


@pytest.fixture(scope="session")
def composer(bundle: Path) -> Composer:
    return Composer(bundle, ModelIdentity.of_files(bundle))
