"""Addresses of runs and versions on MLflow's page, where a server shows it."""

from __future__ import annotations

from urllib.parse import urlsplit

from infra.lake import Lake
from infra.services.records import read_record
from infra.services.registry_address import is_server, registry_address
from registry.errors import RegistryError, registry_errors
from registry.identity import MODEL_NAME
from registry.runs import find_run
from registry.store import Registry


def run_page(lake: Lake, key: str) -> str | None:
    """Return the address of the run with musenet's id `key`; None without a server, or a run of that id."""
    server = _server(lake)
    if server is None:
        return None
    try:
        registry = Registry.open(lake)
        with registry_errors():
            run_id = find_run(registry, key)
    except RegistryError:  # a link is not worth an error
        return None
    return None if run_id is None else f"{server}/#/experiments/{registry.experiment_id}/runs/{run_id}"


def version_page(lake: Lake, version: str) -> str | None:
    """Return the address of a model version; None without a server."""
    server = _server(lake)
    return None if server is None else f"{server}/#/models/{MODEL_NAME}/versions/{version}"


def _server(lake: Lake) -> str | None:
    """Return the address of the server, without credentials: that of `$MLFLOW_TRACKING_URI`, else the lake's own."""
    uri = registry_address(lake)
    if is_server(uri):
        parts = urlsplit(uri)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
    record = read_record(lake, "mlflow")
    return None if record is None else record.url
