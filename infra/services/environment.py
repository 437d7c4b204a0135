"""Environment variables that keep Prefect, MLflow and others inside the lake, offline and quiet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from infra.lake import LAKE_VARIABLE, LOCAL_VARIABLE, Lake
from infra.services.password import SERVER_AUTH_VARIABLE
from infra.services.registry_address import OWN_VARIABLE, TRACKING_VARIABLE, own_registry, registry_address

HOST = "127.0.0.1"
"""Address that all local servers listen on."""
HEARTBEAT_SECONDS = 30
"""Time between two signs of life of a flow run; the least that Prefect takes."""
OWN_NAMES = (HOST, "localhost")
"""Names by which a browser on this machine reaches them."""


def library_environment(lake: Lake) -> dict[str, str]:
    """Return the variables for every process that works on a lake.

    They must be set before the libraries are imported, and are inherited by child processes.
    """
    return {
        LAKE_VARIABLE: lake.address,
        LOCAL_VARIABLE: str(lake.root),
        "PREFECT_HOME": str(lake.prefect_home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # Log lines reach the run's page; the terminal belongs to the command.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "musenet",  # progress, notices and warnings: see `flows.progress`
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
        "DO_NOT_TRACK": "true",  # Prefect takes 1 or true, MLflow true only
        "MLFLOW_DISABLE_TELEMETRY": "true",
        TRACKING_VARIABLE: registry_address(lake),
        OWN_VARIABLE: own_registry(lake),
        "MLFLOW_LOGGING_LEVEL": "ERROR",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "GIT_PYTHON_REFRESH": "quiet",
        "MPLCONFIGDIR": str(lake.cache / "matplotlib"),
    }


@contextmanager
def library_settings(lake: Lake) -> Iterator[None]:
    """Set the variables of `library_environment` for a block, in which the libraries are imported."""
    before = dict(os.environ)
    os.environ.update(library_environment(lake))
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def own_origins(url: str) -> str:
    """Return the origins of a local server's own pages, with commas between."""
    return ",".join(f"http://{name}:{url.rpartition(':')[2]}" for name in OWN_NAMES)


def server_environment(
    lake: Lake, kind: Literal["prefect", "mlflow", "private"], url: str, password: str
) -> dict[str, str]:
    """Return the variables of a server process; `private` is a Prefect server without pages and schedules.

    `password`: what Prefect's API asks for.
    """
    # The user's own Prefect settings may name another database, and another API for the pages to ask.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    ours = {
        "PYTHONSAFEPATH": "1",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PREFECT_SERVER_API_HOST": HOST,
        "PREFECT_SERVER_API_PORT": url.rpartition(":")[2],
        SERVER_AUTH_VARIABLE: password,
        # By default pages of any site may read from and write to the API.
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": own_origins(url),
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(lake.prefect_home / "pages"),
        # By default a server that starts again has forgotten who holds slots, and never frees them.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        # By default one that is looked at a minute late is dropped: a run that never began would stay Pending for ever.
        "PREFECT_SERVER_EVENTS_EXPIRED_BUCKET_BUFFER": "PT1H",
        # By default each event of a task run is a transaction: slower than tasks can be.
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    }
    private = {
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
        "PREFECT_SERVER_UI_ENABLED": "0",
        # Flows here use no blocks; the server of `up` registers them for its pages.
        "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
        # No page shows it meanwhile: full batches only, and the rest when the server stops.
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "3600",
    }
    return {**inherited, **library_environment(lake), **ours, **(private if kind == "private" else {})}
