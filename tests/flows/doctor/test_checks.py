"""The doctor: each fault is found where it is, with the way to mend it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from flows.doctor import checks
from flows.doctor.checks import (
    Finding,
    check_compiler,
    check_disk,
    check_hostfile,
    check_password,
    check_prefect_schema,
    check_registry,
    check_servers,
)
from infra.lake import Lake
from infra.services.database import create_database, database
from infra.services.password import make_password, password_file
from infra.services.records import Record, identities, write_record


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    lake = Lake(tmp_path / "lake")
    lake.prefect_home.mkdir(parents=True)
    return lake


def set_revision(path: Path, revision: str) -> None:
    with sqlite3.connect(path) as content:
        content.execute("UPDATE alembic_version SET version_num = ?", (revision,))


def bad(findings: list[Finding]) -> list[str]:
    assert all(finding.remedy for finding in findings if finding.state == "bad"), "a fault without a remedy"
    return [finding.found for finding in findings if finding.state == "bad"]


def test_a_finding_is_a_line_with_its_remedy() -> None:
    assert Finding("disk", "bad", "1.0 GB are free", "make room").line() == "✗ disk         1.0 GB are free: make room"
    assert Finding("disk", "good", "90 GB are free").line() == "✓ disk         90 GB are free"


def test_a_new_lake_has_no_fault(lake: Lake) -> None:
    found = [*check_disk(lake), *check_servers(lake), *check_password(lake), *check_prefect_schema(lake)]
    found += check_registry(lake)
    assert bad(found) == []
    assert not lake.services.exists(), "looking changes nothing"


def test_too_little_room(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "FREE_GB", 1e9)
    (found,) = bad([*check_disk(lake)])
    assert found.endswith(f"GB are free in {lake.root}")


def test_a_server_that_does_not_answer(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.services.mkdir()
    write_record(lake, "prefect", Record("http://127.0.0.1:9", "prefect.log", "", identities(os.getpid())))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    own, given = bad([*check_servers(lake)])
    assert own == "no answer at http://127.0.0.1:9"
    assert given.startswith("no answer at http://127.0.0.1:9/api (PREFECT_API_URL): ")


def test_a_password_that_others_may_read(lake: Lake) -> None:
    make_password(lake)
    assert bad([*check_password(lake)]) == []
    password_file(lake).chmod(0o644)
    assert bad([*check_password(lake)]) == [f"others may read {password_file(lake)}"]


def test_a_database_of_another_prefect(lake: Lake) -> None:
    create_database(lake)
    assert bad([*check_prefect_schema(lake)]) == []
    set_revision(database(lake), "of-the-future")
    (found,) = bad([*check_prefect_schema(lake)])
    assert found.startswith("its database has schema of-the-future, the installed Prefect ")


def test_a_registry_of_another_mlflow(lake: Lake, make_registry) -> None:
    make_registry(lake)
    assert bad([*check_registry(lake)]) == []
    set_revision(lake.registry_database, "of-the-past")
    (found,) = bad([*check_registry(lake)])
    assert found.startswith("has schema of-the-past, the installed MLflow ")
    lake.registry_database.write_bytes(b"no database, but long enough to be taken for one")
    assert "not a database" in bad([*check_registry(lake)])[0]


def test_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no g++, which training needs at its first start" in bad([*check_compiler()])


def test_a_hostfile_with_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hosts").write_text("worker-1\n")
    (finding,) = check_hostfile(tmp_path / "hosts")
    assert "line 1: expected slots=N" in finding.found
    (tmp_path / "hosts").write_text("worker-1 slots=2\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bad([*check_hostfile(tmp_path / "hosts")]) == ["no ssh", "no pdsh"]
