"""The schema that the installed release of MLflow works with."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from infra.databases import reading
from infra.lake import Lake
from infra.services.schema import newest, revisions, shipped_revision, stored_revision
from registry.errors import RegistryError
from registry.identity import EXPERIMENT

MIGRATIONS = "store/db_migrations/versions"
"""Their folder in MLflow's package."""


def expected_revision() -> str:
    """Return the revision of the installed release."""
    return shipped_revision("mlflow") or newest(known_revisions())


def require_schema(lake: Lake) -> None:
    """Raise RegistryError for a lake's own database that the installed release would have to migrate.

    MLflow itself migrates some as it opens them, those that lack a table. One without musenet's experiment is left to
    it: another process is making it.
    """
    path = lake.registry_database
    try:
        with reading(path) as content:
            is_made = content.execute("SELECT 1 FROM experiments WHERE name = ?", (EXPERIMENT,)).fetchone()
        stored = stored_revision(path)
    except sqlite3.Error:  # none yet, or no database: MLflow makes it, or says why not
        return
    if is_made and stored is not None and stored != (expected := expected_revision()):
        raise RegistryError(
            f"the registry in {path} has schema {stored}, the installed MLflow works with {expected}: stop everything "
            "that uses the lake, then `musenet upgrade`"
        )


def known_revisions() -> Mapping[str, str]:
    """Return the revisions that the installed release can migrate from, each with the one before it."""
    return revisions("mlflow", MIGRATIONS)
