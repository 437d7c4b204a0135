"""Relocation: the URIs in the database of a lake that was moved or copied, changed to where the lake lies now.

MLflow keeps the place of every artifact as an absolute URI. Used as they are, those of a copy would make it read and
write the files of the lake that it was copied from, and those of a moved lake would make its old folder anew.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from infra.lake import Lake
from registry.errors import RegistryError
from registry.identity import EXPERIMENT

COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Tables of MLflow's database with columns that hold the URI of an artifact."""
BUSY_SECONDS = 60.0


def relocate(lake: Lake) -> str | None:
    """Make the URIs in a lake's MLflow database name files in this lake; return the folder that they named before.

    None: they were right, or in a store that does not move with the lake. Raises RegistryError for a database that
    cannot be changed.
    """
    database, artifacts = lake.registry_database, lake.registry_artifacts
    if not database.exists():
        return None
    try:
        with closing(sqlite3.connect(database, timeout=BUSY_SECONDS, isolation_level=None)) as content:
            before = _location(content)
            if before is None or not _is_elsewhere(before, artifacts):
                return None
            content.execute("BEGIN IMMEDIATE")
            before = _location(content)  # another process may have been first
            if before is None or not _is_elsewhere(before, artifacts):
                content.execute("ROLLBACK")
                return None
            _rewrite(content, before, artifacts.as_uri())
            content.execute("COMMIT")
    except sqlite3.Error as error:
        raise RegistryError(f"the registry in {database} cannot be opened: {error}") from error
    return unquote(urlsplit(before).path)


def _location(content: sqlite3.Connection) -> str | None:
    """Return the URI of the experiment's artifacts, None for a database without the experiment."""
    if not content.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
        return None
    row = content.execute("SELECT artifact_location FROM experiments WHERE name = ?", (EXPERIMENT,)).fetchone()
    return None if row is None else str(row[0])


def _is_elsewhere(uri: str, artifacts: Path) -> bool:
    """True for the URI of a folder that is not `artifacts`, under another name either."""
    if urlsplit(uri).scheme not in ("", "file"):
        return False
    named = Path(unquote(urlsplit(uri).path))
    is_same = named.exists() and artifacts.exists() and named.samefile(artifacts)  # the lake, mounted elsewhere too
    return uri != artifacts.as_uri() and not is_same


def _rewrite(content: sqlite3.Connection, before: str, now: str) -> None:
    for table, column in COLUMNS:
        content.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} = ? OR substr({column}, 1, ?) = ?",
            (now, len(before) + 1, before, len(before) + 1, before + "/"),
        )
    # Dataset inputs name folders of the lake; MLflow keeps them as JSON.
    old, new = (json.dumps(str(Path(unquote(urlsplit(uri).path)).parents[1]) + "/")[1:-1] for uri in (before, now))
    content.execute("UPDATE datasets SET dataset_source = replace(dataset_source, ?, ?)", (f'"{old}', f'"{new}'))
