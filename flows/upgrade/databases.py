"""The schemas of a lake's two databases, and their migration.

A database is migrated as a copy, which then takes its place: an upgrade that is killed or fails leaves the one before.
That one is kept beside it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.databases import copy_database, settle
from infra.errors import RunError, UserError
from infra.files import link, remove_abandoned, staging_folder, sync
from infra.lake import Lake
from infra.processes import having_open
from infra.services import schema as prefect
from infra.services.database import database
from infra.services.schema import migrate_registry
from registry import schema as mlflow


@dataclass(frozen=True)
class Schema:
    """The schema of a database."""

    library: str
    """`Prefect` or `MLflow`."""
    database: Path
    stored: str
    expected: str
    """That of the installed release."""
    is_known: bool
    """False for a schema of a later release."""
    kept: Path | None = None
    """The database before its migration."""

    @property
    def is_outdated(self) -> bool:
        """True if it is not the one that the installed release works with."""
        return self.stored != self.expected

    def line(self) -> str:
        """Say what it is, or what has become of it."""
        if self.kept is not None:
            return f"{self.library}: schema {self.stored} is now {self.expected}; the database before is {self.kept}"
        if not self.is_outdated:
            return f"{self.library}: has the schema of the installed release ({self.stored})"
        if not self.is_known:
            return f"{self.library}: {self._unknown()}"
        return f"{self.library}: schema {self.stored} is to be {self.expected}"

    def require_known(self) -> None:
        """Raise UserError for the schema of a later release."""
        if not self.is_known:
            raise UserError(f"{self.database} {self._unknown()}")

    def _unknown(self) -> str:
        return (
            f"has schema {self.stored}, which the installed {self.library} does not know: install the release that "
            "wrote it, or restore an earlier backup"
        )


def schemas(lake: Lake) -> Iterator[Schema]:
    """Yield the schemas of the databases that a lake has. Raises RunError for one that cannot be read."""
    if stored := _stored(database(lake)):
        yield Schema(
            "Prefect", database(lake), stored, prefect.expected_revision(), stored in prefect.known_revisions()
        )
    if stored := _stored(path := lake.registry_database):
        yield Schema("MLflow", path, stored, mlflow.expected_revision(), stored in mlflow.known_revisions())


def require_unused(lake: Lake, outdated: list[Schema]) -> None:
    """Raise UserError if a process has one of the databases open."""
    users = having_open(*(schema.database for schema in outdated))
    if users:
        raise UserError(
            f"{lake.root} is used by {', '.join(users)}: stop it (`musenet down` stops the servers), then upgrade again"
        )


def migrate(lake: Lake, outdated: Schema) -> Path:
    """Migrate a database that nothing uses; return where the one before is. Raises RunError."""
    path = outdated.database
    kept = path.with_name(f"{path.stem}.{outdated.stored}{path.suffix}")
    remove_abandoned(path.parent)
    with staging_folder(path.parent) as folder:
        staged = Lake(folder)
        copy = staged.root / path.relative_to(lake.root)
        copy.parent.mkdir()
        try:
            settle(path)
            copy_database(path, copy)
            MIGRATIONS[outdated.library](staged)
            if _stored(copy) != outdated.expected:
                raise RunError(f"{outdated.library} has not brought {path} to schema {outdated.expected}")
            settle(copy)
        except sqlite3.Error as error:
            raise RunError(f"{path} cannot be migrated: {error}") from error
        sync(copy)
        kept.unlink(missing_ok=True)
        link(str(path), str(kept))
        copy.replace(path)
        sync(path.parent)
    return kept


MIGRATIONS: dict[str, Callable[[Lake], None]] = {"Prefect": prefect.migrate, "MLflow": migrate_registry}


def _stored(path: Path) -> str | None:
    """Return the revision of a database, None where there is none. Raises RunError."""
    if not path.exists() or not path.stat().st_size:
        return None
    try:
        return prefect.stored_revision(path)
    except sqlite3.Error as error:
        raise RunError(f"{path} cannot be read: {error}; restore it from a backup, or move it away") from error
