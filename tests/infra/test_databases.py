"""SQLite databases: new ones, and copies of one moment, sound, and with an end to the waiting."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from infra import databases
from infra.databases import copy_database, create, settle
from infra.errors import RunError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database in WAL mode; its folder has a name that means something in a URL."""
    path = tmp_path / "50% & #1?" / "a.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as content:
        content.executescript("PRAGMA journal_mode=WAL; CREATE TABLE numbers (number INTEGER)")
    return path


def numbers(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as content:
        return [number for (number,) in content.execute("SELECT number FROM numbers")]


def test_a_new_one_has_the_schema_and_one_that_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.db"
    create(path, "CREATE TABLE numbers (number INTEGER); INSERT INTO numbers VALUES (1);")
    create(path, "CREATE TABLE numbers (number INTEGER);")
    assert numbers(path) == [1]


def test_a_copy_has_what_is_committed_and_in_the_log_alone(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("INSERT INTO numbers VALUES (1)")
        writer.commit()
        writer.execute("INSERT INTO numbers VALUES (2)")
        copy_database(path, tmp_path / "copy.db")
        writer.commit()
    assert numbers(tmp_path / "copy.db") == [1]
    assert numbers(path) == [1, 2]


def test_what_a_killed_writer_has_half_done_is_not_in_it(tmp_path: Path) -> None:
    """Its journal lies beside the database: the copy is made once that is undone."""
    path, killed = tmp_path / "a.db", tmp_path / "killed"
    killed.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as content:
        content.executescript("CREATE TABLE numbers (number INTEGER); INSERT INTO numbers VALUES (1)")
        content.executescript("PRAGMA cache_size=1; BEGIN; UPDATE numbers SET number = 2")
        content.executemany("INSERT INTO numbers VALUES (?)", ((number,) for number in range(20_000)))
        for file in tmp_path.glob("a.db*"):
            (killed / file.name).write_bytes(file.read_bytes())
    assert (killed / "a.db-journal").exists()
    copy_database(killed / "a.db", tmp_path / "copy.db")
    assert numbers(tmp_path / "copy.db") == [1]


def test_a_writer_that_never_ends_is_not_waited_for(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "BUSY_SECONDS", 0.01)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=DELETE")
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RunError, match=r"a\.db cannot be copied: "):
            copy_database(path, tmp_path / "copy.db")


@pytest.mark.parametrize("content", [b"no database" * 1000, None])
def test_what_is_no_database_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.db").write_bytes(content)
    with pytest.raises(RunError, match=r"the database .*a\.db cannot be copied: "):
        copy_database(tmp_path / "a.db", tmp_path / "copy.db")


def test_a_damaged_one_is_no_backup(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path)) as content:
        content.executescript("PRAGMA journal_mode=DELETE; CREATE INDEX i ON numbers (number)")
        content.executemany("INSERT INTO numbers VALUES (?)", ((number,) for number in range(5000)))
        content.commit()
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"is damaged \(|cannot be copied: "):
        copy_database(path, tmp_path / "copy.db")


def test_a_settled_one_has_all_in_its_file(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("INSERT INTO numbers VALUES (1)")
        writer.commit()
        settle(path)
        (tmp_path / "copy.db").write_bytes(path.read_bytes())
    assert numbers(tmp_path / "copy.db") == [1]
