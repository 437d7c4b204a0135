"""The schema that Prefect's migrations leave behind; to be written anew when Prefect is upgraded.

python -m infra.services.migrated_schema
"""

from __future__ import annotations

import re
import sqlite3
import tempfile
from pathlib import Path

from infra.files import write_atomically
from infra.lake import Lake
from infra.services.database import SCHEMA, database, release
from infra.services.schema import migrate


def migrated_schema() -> str:
    """Return what the migrations make of an empty file, as SQL headed by the release. Takes some seconds."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        lake.prefect_home.mkdir()
        migrate(lake)
        with sqlite3.connect(database(lake)) as content:
            dump = "\n".join([release(), *content.iterdump()]) + "\n"
    return re.sub(r"[ \t]+$", "", dump, flags=re.MULTILINE)


if __name__ == "__main__":
    write_atomically(SCHEMA, migrated_schema().encode())
