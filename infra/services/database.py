"""The databases of a new lake, Prefect's and MLflow's, filled from the schemas in `prefect_schema.sql` and
`mlflow_schema.sql`.

Both libraries would run dozens of migrations on an empty file, which takes longer than the start of a server. The
schemas are what these leave behind; `migrated_schema` writes them anew for other releases.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Literal

from infra.databases import create
from infra.lake import Lake
from infra.services.registry_address import own_registry, registry_address

Library = Literal["prefect", "mlflow"]

SCHEMAS: dict[Library, Path] = {
    "prefect": Path(__file__).with_name("prefect_schema.sql"),
    "mlflow": Path(__file__).with_name("mlflow_schema.sql"),
}


def database(lake: Lake) -> Path:
    """Return the path of a lake's Prefect database."""
    return lake.prefect_home / "prefect.db"


def create_database(lake: Lake) -> None:
    """Write the Prefect database of a lake that has none. Its folder exists.

    Does nothing if another release of Prefect is installed than the schema is of: that one migrates an empty file.
    """
    _create("prefect", database(lake))


def create_registry(lake: Lake) -> None:
    """Write the MLflow database of a lake that has none, as `create_database` does Prefect's, and its folder.

    Does nothing where `$MLFLOW_TRACKING_URI` names another registry.
    """
    if registry_address(lake) == own_registry(lake):
        _create("mlflow", lake.registry_database)


def release(library: Library) -> str:
    """Return the first line of a schema: the release of the library that is installed."""
    return f"-- {library} {version(library)}"


def shipped_schema(library: Library) -> str | None:
    """Return the schema of a library as SQL; None if another release of it is installed than the schema is of."""
    schema = SCHEMAS[library].read_text(encoding="utf-8")
    return schema if schema.startswith(f"{release(library)}\n") else None


def _create(library: Library, path: Path) -> None:
    if not path.exists() and (schema := shipped_schema(library)):
        create(path, schema)
