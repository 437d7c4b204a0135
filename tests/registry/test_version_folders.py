"""Folders of model versions in the database of MLflow: those in the lake, wherever it lay when they were written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from registry.identity import EXPERIMENT
from registry.version_folders import version_folders


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as content:
        content.executescript(
            "CREATE TABLE experiments (name TEXT, artifact_location TEXT);"
            "CREATE TABLE model_versions (version INTEGER, storage_location TEXT)"
        )
    return tmp_path / "mlflow.db"


def insert(database: Path, root: str, *places: str) -> None:
    with closing(sqlite3.connect(database)) as content, content:
        content.execute("INSERT INTO experiments VALUES (?, ?)", (EXPERIMENT, root))
        content.executemany("INSERT INTO model_versions VALUES (?, ?)", enumerate(places, 1))


def test_they_are_relative_to_the_artifacts(database: Path) -> None:
    root = "file:///home/a%20b/lake/registry/artifacts"
    insert(database, root, f"{root}/models/m-1/artifacts", "REDACTED-SOURCE-PATH", f"{root}-of-others/models/m-3")
    assert version_folders(database) == {"1": "models/m-1/artifacts"}


def test_those_in_a_store_elsewhere_are_none_of_the_lake(database: Path) -> None:
    insert(database, "s3://bucket/models", "s3://bucket/models/m-1/artifacts")
    assert version_folders(database) == {}


def test_a_database_without_models_has_none(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").touch()
    assert version_folders(tmp_path / "mlflow.db") == {}
