"""The schemas of the databases in a lake: which they are, which the installed releases work with, and their migration.

A Prefect server migrates an older database as it starts, whoever else works with it. Servers of a lake are started
only on one that needs none; `musenet upgrade` migrates, once nothing has the database open.
"""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from infra.databases import reading
from infra.errors import RunError
from infra.lake import Lake
from infra.services.database import Library, database, shipped_schema
from infra.services.environment import server_environment
from infra.services.health import ServiceError

MIGRATIONS = "server/database/_migrations/versions/sqlite"
"""Their folder in Prefect's package."""
REVISION = re.compile(r"^revision = \"(\w+)\"$", re.MULTILINE)
BEFORE = re.compile(r"^down_revision = \"(\w+)\"$", re.MULTILINE)
STORED = re.compile(r"""INSERT INTO "alembic_version" VALUES\('(\w+)'\)""")
UNFINISHED = ("RUNNING", "PENDING", "CANCELLING")
"""States of flow runs that a process works on, or should."""
MIGRATE = """
import asyncio
from prefect.server.database import provide_database_interface
asyncio.run(provide_database_interface().create_db())
"""


def stored_revision(path: Path) -> str | None:
    """Return the revision of a SQLite database of Alembic's, None for one that has none. Raises sqlite3.Error."""
    with reading(path) as content:
        row = content.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def expected_revision() -> str:
    """Return the revision that the installed Prefect works with."""
    return shipped_revision("prefect") or newest(known_revisions())


def shipped_revision(library: Library) -> str | None:
    """Return the revision of the schema that new databases of a library get; None where its migrations make them."""
    stored = STORED.search(shipped_schema(library) or "")
    return None if stored is None else stored[1]


def known_revisions() -> Mapping[str, str]:
    """Return the revisions that the installed Prefect can migrate from, each with the one before it."""
    return revisions("prefect", MIGRATIONS)


def newest(before: Mapping[str, str]) -> str:
    """Return the revision that no other one follows; `before`: that before each."""
    (found,) = before.keys() - before.values()
    return found


@cache
def revisions(package: str, folder: str) -> Mapping[str, str]:
    """Return the revisions of Alembic's migrations in a package's folder, each with the one before it; "" for none.

    They are read from the text of the migrations: loading these would load the package.
    """
    spec = find_spec(package)
    assert spec is not None and spec.submodule_search_locations, "a dependency"
    files = Path(spec.submodule_search_locations[0], folder).glob("*.py")
    texts = [path.read_text(encoding="utf-8") for path in files]
    return {
        revision[1]: before[1] if (before := BEFORE.search(text)) else ""
        for text in texts
        if (revision := REVISION.search(text))
    }


def require_schema(lake: Lake) -> None:
    """Raise ServiceError for a Prefect database that a server of the installed release would have to migrate."""
    try:
        stored = stored_revision(database(lake))
    except sqlite3.Error:  # none yet, or no database: the server makes it, or says why not
        return
    if stored is not None and stored != (expected := expected_revision()):
        raise ServiceError(
            f"{database(lake)} has schema {stored}, the installed Prefect works with {expected}: stop everything that "
            "uses the lake, then `musenet upgrade`"
        )


def migrate(lake: Lake) -> None:
    """Bring a lake's Prefect database, which may be an empty file, to the installed release's schema. Raises RunError.

    Takes some seconds. Nothing else may use it.
    """
    environment = server_environment(lake, "private", "http://127.0.0.1:0", "")
    run_migration("Prefect", database(lake), [sys.executable, "-c", MIGRATE], environment)


def migrate_registry(lake: Lake) -> None:
    """Bring a lake's own MLflow database, which may be an empty file, to the installed release's schema; nothing else
    may use it. Raises RunError."""
    path = lake.registry_database
    run_migration("MLflow", path, [sys.executable, "-m", "mlflow", "db", "upgrade", f"sqlite:///{path}"])


def run_migration(
    library: str, path: Path, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> None:
    """Run the command by which a library migrates a database. Raises RunError with the last line that it printed."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"code {done.returncode}"])[-1]
        raise RunError(f"{library} cannot migrate {path}: {said}")


def unfinished_runs(path: Path) -> list[str]:
    """Return the ids of the flow runs that are unfinished in a copy of a Prefect database. Raises sqlite3.Error."""
    states = ", ".join("?" * len(UNFINISHED))
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as content:
        found = content.execute(f"SELECT id FROM flow_run WHERE state_type IN ({states}) ORDER BY id", UNFINISHED)
        return [str(row[0]) for row in found]
