"""Prefect's database of a new lake, filled from the schema in `prefect_schema.sql`.

Prefect would run some hundred migrations on an empty file, which takes longer than the start of its server. The schema
is what they leave behind; `migrated_schema` writes it anew for another release.
"""

from __future__ import annotations

import sqlite3
from importlib.metadata import version
from pathlib import Path

from infra.files import write_atomically
from infra.lake import Lake

SCHEMA = Path(__file__).with_name("prefect_schema.sql")


def database(lake: Lake) -> Path:
    """Return the path of a lake's Prefect database."""
    return lake.prefect_home / "prefect.db"


def create_database(lake: Lake) -> None:
    """Write the database of a lake that has none. Its folder exists.

    Does nothing if another release of Prefect is installed than the schema is of: that one migrates an empty file.
    """
    schema = SCHEMA.read_text(encoding="utf-8")
    if database(lake).exists() or not schema.startswith(f"{release()}\n"):
        return
    with sqlite3.connect(":memory:") as content:
        content.executescript(schema)
        write_atomically(database(lake), content.serialize())


def release() -> str:
    """Return the first line of a schema: the release of Prefect that is installed."""
    return f"-- prefect {version('prefect')}"
