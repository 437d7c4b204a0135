"""Prefect's database of a new lake: the schema that we ship is the one that Prefect's own migrations make."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from infra.lake import Lake
from infra.services import database
from infra.services.database import SCHEMA, create_database, release
from infra.services.migrated_schema import migrated_schema


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    lake.prefect_home.mkdir()
    return lake


def definitions(schema: str) -> list[str]:
    """Sorted lines of SQL: Alembic writes the constraints of a table in any order."""
    return sorted(line.strip().rstrip(",") for line in schema.splitlines())


def test_the_schema_names_the_release_in_use() -> None:
    """After an upgrade of Prefect: python -m infra.services.migrated_schema."""
    assert SCHEMA.read_text(encoding="utf-8").startswith(f"{release()}\n")


@pytest.mark.slow
@pytest.mark.thorough  # a file that names the release was written by its migrations
def test_the_schema_is_what_its_migrations_leave() -> None:
    assert definitions(SCHEMA.read_text(encoding="utf-8")) == definitions(migrated_schema())


def test_a_new_lake_has_prefect_s_tables_and_nothing_in_them(lake: Lake) -> None:
    create_database(lake)
    with sqlite3.connect(lake.prefect_home / "prefect.db") as content:
        tables = [name for (name,) in content.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: content.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}
    assert {"flow_run", "task_run", "artifact"} <= rows.keys()
    assert {name: count for name, count in rows.items() if count} == {"alembic_version": 1}


def test_a_database_that_is_there_is_left_alone(lake: Lake) -> None:
    (lake.prefect_home / "prefect.db").write_bytes(b"somebody's runs")
    create_database(lake)
    assert (lake.prefect_home / "prefect.db").read_bytes() == b"somebody's runs"


def test_another_release_makes_its_database_itself(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "version", lambda name: "3.7.8")
    create_database(lake)
    assert list(lake.prefect_home.iterdir()) == []
