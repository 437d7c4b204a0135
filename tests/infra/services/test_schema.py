"""The schema of Prefect's database: known, required of a database that a server starts on, and migrated."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from infra.lake import Lake
from infra.services import database as of_prefect
from infra.services.database import create_database, database
from infra.services.health import ServiceError
from infra.services.liveness import mark_left
from infra.services.prefect_api import prefect_server
from infra.services.schema import expected_revision, known_revisions, require_schema, stored_revision, unfinished_runs
from infra.services.servers import up


@pytest.fixture(autouse=True)
def no_server_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another file's tests in this process one may run, which would be taken."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


@pytest.fixture
def lake(tmp_path) -> Lake:
    lake = Lake(tmp_path)
    lake.prefect_home.mkdir()
    return lake


def set_revision(lake: Lake, revision: str) -> None:
    with closing(sqlite3.connect(database(lake))) as content, content:
        content.execute("UPDATE alembic_version SET version_num = ?", (revision,))


def test_the_shipped_schema_and_the_migrations_say_the_same(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    create_database(lake)
    shipped = expected_revision()
    assert stored_revision(database(lake)) == shipped
    monkeypatch.setattr(of_prefect, "version", lambda _name: "3.7.8")
    assert expected_revision() == shipped, "read from the migrations, where the schema is another release's"


def test_the_migrations_are_one_chain() -> None:
    before = known_revisions()
    revision, length = expected_revision(), 0
    while revision:
        revision, length = before[revision], length + 1
    assert length == len(before) > 100


@pytest.mark.parametrize("start", [up, lambda lake: prefect_server(lake).__enter__()], ids=["up", "private"])
def test_no_server_starts_on_a_database_that_it_would_migrate(lake: Lake, start) -> None:
    create_database(lake)
    set_revision(lake, "of-the-past")
    with pytest.raises(ServiceError, match=r"has schema of-the-past, .* stop everything .* then `musenet upgrade`"):
        start(lake)
    assert stored_revision(database(lake)) == "of-the-past"


def test_what_is_no_database_is_left_to_the_server(lake: Lake) -> None:
    require_schema(lake)
    database(lake).write_bytes(b"")
    require_schema(lake)


def test_unfinished_runs_can_be_left_for_the_next_command(lake: Lake) -> None:
    create_database(lake)
    with closing(sqlite3.connect(database(lake))) as content, content:
        content.execute("INSERT INTO flow (id, name) VALUES ('f', 'train')")
        for run, state in (("a", "RUNNING"), ("b", "COMPLETED"), ("c", "PENDING"), ("d", "SCHEDULED"), ("e", None)):
            content.execute(
                "INSERT INTO flow_run (id, name, flow_id, state_type) VALUES (?, ?, 'f', ?)", (run, run, state)
            )
    found = unfinished_runs(database(lake))
    mark_left(lake, found)
    assert found == sorted(path.name for path in (lake.services / "flow-runs").iterdir()) == ["a", "c"]
