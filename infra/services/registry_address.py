"""The address of a lake's registry: its own SQLite database, or the MLflow store that the user's variables name."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from infra.lake import Lake

TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
ARTIFACTS_VARIABLE = "MLFLOW_DEFAULT_ARTIFACT_ROOT"
"""Place of artifacts in a database of the user's, such as `s3://bucket/musenet`; a server has its own."""
OWN_VARIABLE = "MUSENET_OWN_REGISTRY"
"""The lake's own address beside TRACKING_VARIABLE, by which a child process tells it from a choice of the user's."""


def own_registry(lake: Lake) -> str:
    """Return MLflow's URI of the database in a lake."""
    return f"sqlite:///{lake.registry_database}"


def registry_address(lake: Lake) -> str:
    """Return MLflow's URI of a lake's registry: `$MLFLOW_TRACKING_URI` where the user has set it, else its own."""
    given = os.environ.get(TRACKING_VARIABLE, "")
    return own_registry(lake) if given in ("", os.environ.get(OWN_VARIABLE)) else given


def has_registry(lake: Lake) -> bool:
    """True if opening a lake's registry would not make an empty one."""
    return registry_address(lake) != own_registry(lake) or lake.registry_database.exists()


def printable(uri: str) -> str:
    """Return a URI without the password in it."""
    parts = urlsplit(uri)
    return uri if parts.password is None else uri.replace(f":{parts.password}@", ":…@", 1)


def is_server(uri: str) -> bool:
    """True for the address of an MLflow server."""
    return uri.startswith(("http://", "https://"))
