"""SQLite databases that other processes write to: making one, reading from one, and a consistent copy."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from infra.errors import RunError
from infra.files import publish_new

BUSY_SECONDS = 60.0
"""Longest wait for a writer that holds a database alone."""
STEP_SECONDS = 0.1
"""Time after which a step of a copy is tried again."""


def reading(database: Path) -> closing[sqlite3.Connection]:
    """Open a database for a block that only reads from it. Raises sqlite3.Error."""
    return closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True))


def create(path: Path, schema: str) -> None:
    """Write a database with a schema, whole or not at all; one that is there, perhaps since a moment ago, stays.

    Creates the folder.
    """
    with closing(sqlite3.connect(":memory:")) as content:
        content.executescript(schema)
        publish_new(path, content.serialize())


def copy_database(source: Path, target: Path) -> None:
    """Write a copy of a database as it is at one moment, whatever is written to it meanwhile; check that it is sound.

    SQLite's own backup reads what is committed but still in the write-ahead log, too, which a copy of the file would
    not. All pages go in one step, under one read lock: in smaller steps it begins anew after each write by others.
    Raises RunError for a file that is no database, a damaged one, and one that stays locked.
    """
    deadline = time.monotonic() + BUSY_SECONDS

    def patient(_status: int, _left: int, _all: int) -> None:
        if time.monotonic() > deadline:  # SQLite itself would try for ever
            raise sqlite3.OperationalError("it stays locked")

    try:
        with (
            # Opened for writing, as what a killed writer has left half done is undone by the next one to read.
            closing(
                sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, timeout=STEP_SECONDS)
            ) as content,
            closing(sqlite3.connect(target)) as copy,
        ):
            content.backup(copy, pages=-1, progress=patient)
            fault = str(copy.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        raise RunError(f"the database {source} cannot be copied: {error}") from error
    if fault != "ok":
        raise RunError(f"the database {source} is damaged ({' '.join(fault.split())}); restore it from a backup")


def settle(database: Path) -> None:
    """Write what is in the write-ahead log of a database that nobody has open into its file, and remove the log.

    A log that stayed beside a file that was replaced would be applied to the new one. Raises sqlite3.Error.
    """
    with closing(sqlite3.connect(database, timeout=BUSY_SECONDS)) as content:
        content.execute("PRAGMA wal_checkpoint(TRUNCATE)")
