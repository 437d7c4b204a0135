"""The databases of a new lake: the schemas that we ship are those that the libraries' own migrations make."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest

from infra.lake import Lake
from infra.services import database
from infra.services.database import SCHEMAS, Library, create_database, create_registry, release
from infra.services.migrated_schema import migrated_schema

each_library = pytest.mark.parametrize("library", get_args(Library))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    lake.prefect_home.mkdir()
    return lake


def definitions(schema: str) -> list[str]:
    """Sorted lines of SQL: Alembic writes the constraints of a table in any order."""
    return sorted(line.strip().rstrip(",") for line in schema.splitlines())


def rows_of(path: Path) -> dict[str, int]:
    """The number of rows of every table of a database."""
    with closing(sqlite3.connect(path)) as content:
        tables = [name for (name,) in content.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: content.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}


@each_library
def test_a_schema_names_the_release_in_use(library: Library) -> None:
    """After an upgrade: python -m infra.services.migrated_schema."""
    assert SCHEMAS[library].read_text(encoding="utf-8").startswith(f"{release(library)}\n")


@pytest.mark.slow
@pytest.mark.thorough  # a file that names the release was written by its migrations
@each_library
def test_a_schema_is_what_its_migrations_leave(library: Library) -> None:
    assert definitions(SCHEMAS[library].read_text(encoding="utf-8")) == definitions(migrated_schema(library))


def test_a_new_lake_has_prefect_s_tables_and_nothing_in_them(lake: Lake) -> None:
    create_database(lake)
    rows = rows_of(lake.prefect_home / "prefect.db")
    assert {"flow_run", "task_run", "artifact"} <= rows.keys()
    assert {name: count for name, count in rows.items() if count} == {"alembic_version": 1}


def test_a_new_lake_has_mlflow_s_tables_and_what_its_migrations_put_there(lake: Lake) -> None:
    create_registry(lake)
    rows = rows_of(lake.registry_database)
    assert {"runs", "model_versions", "registered_model_aliases"} <= rows.keys()
    assert {name: count for name, count in rows.items() if count} == {"alembic_version": 1, "workspaces": 1}


def test_no_registry_is_made_where_another_is_named(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    create_registry(lake)
    assert not lake.registry_database.exists()


def test_a_database_that_is_there_is_left_alone(lake: Lake) -> None:
    (lake.prefect_home / "prefect.db").write_bytes(b"somebody's runs")
    create_database(lake)
    assert (lake.prefect_home / "prefect.db").read_bytes() == b"somebody's runs"


def test_another_release_makes_its_database_itself(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "version", lambda name: "3.7.8")
    create_database(lake)
    create_registry(lake)
    assert list(lake.prefect_home.iterdir()) == []
    assert not lake.registry_database.exists()
