"""The schemas that the migrations of Prefect and MLflow leave behind; to be written anew when either is upgraded.

python -m infra.services.migrated_schema
"""

from __future__ import annotations

import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from infra.files import write_atomically
from infra.lake import Lake
from infra.services.database import SCHEMAS, Library, database, release
from infra.services.schema import migrate, migrate_registry


def migrated_schema(library: Library) -> str:
    """Return what a library's migrations make of an empty file, as SQL headed by the release. Takes some seconds."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        path = database(lake) if library == "prefect" else lake.registry_database
        path.parent.mkdir()
        (migrate if library == "prefect" else migrate_registry)(lake)
        with closing(sqlite3.connect(path)) as content:
            dump = "\n".join([release(library), *content.iterdump()]) + "\n"
    return re.sub(r"[ \t]+$", "", dump, flags=re.MULTILINE)


if __name__ == "__main__":
    for name, file in SCHEMAS.items():
        write_atomically(file, migrated_schema(name).encode())
