"""The schema of MLflow's database in a lake, and the one that the installed release of MLflow works with."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def stored_revision(database: Path) -> str | None:
    """Return the revision of a SQLite database of Alembic's, None for one that has none. Raises sqlite3.Error."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as content:
        row = content.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def expected_revision() -> str:
    """Return the revision of the installed release."""
    from mlflow.store.db.utils import _get_latest_schema_revision  # which no public function tells

    return str(_get_latest_schema_revision())  # type: ignore[no-untyped-call]
