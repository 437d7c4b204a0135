"""The MLflow store of a lake: by default a SQLite database and a folder of artifacts in it, else the one that MLflow's
variables name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.tracking._tracking_service.utils import _use_tracking_uri  # whose public half cannot undo what it sets
from sqlalchemy.exc import SQLAlchemyError

from infra.lake import Lake
from infra.services.database import create_registry
from infra.services.health import refusal
from infra.services.registry_address import (
    ARTIFACTS_VARIABLE,
    TRACKING_VARIABLE,
    is_server,
    own_registry,
    printable,
    registry_address,
)
from registry.errors import RegistryError, first_line
from registry.identity import EXPERIMENT
from registry.relocation import relocate
from registry.schema import require_schema

CREDENTIALS = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
UNAUTHENTICATED = "UNAUTHENTICATED"
"""MLflow's code of what a server answers with status 401."""
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Makes MLflow's page show runs and metrics rather than traces."""


@dataclass(frozen=True)
class Registry:
    """An open MLflow store."""

    client: MlflowClient
    uri: str
    """MLflow's tracking URI."""
    experiment_id: str
    cache: Path
    """Folder for files of versions that are copied to this machine."""

    @classmethod
    def open(cls, lake: Lake) -> Registry:
        """Open the store of a lake, created and migrated where it does not exist yet.

        It is the lake's SQLite database, or the one at `$MLFLOW_TRACKING_URI`: a server (`http://…`, with MLflow's own
        variables for its credentials) or another database. A lake that was moved or copied gets its own artifacts.
        Raises RegistryError for a store that cannot be reached, for a file that is no MLflow database, and for one
        that has to be upgraded first.
        """
        uri = registry_address(lake)
        if is_server(uri) and (why := refusal(uri)):  # MLflow would try for minutes
            raise RegistryError(f"no registry answers at {printable(uri)}: {why}")
        try:
            if uri == own_registry(lake):
                require_schema(lake)
                lake.registry_artifacts.mkdir(parents=True, exist_ok=True)
                create_registry(lake)
                relocate(lake)
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            experiment = client.get_experiment_by_name(EXPERIMENT)
            if experiment is None:
                location = _artifacts_of(lake, uri)
                experiment_id = client.create_experiment(EXPERIMENT, artifact_location=location, tags=EXPERIMENT_TAGS)
            else:
                experiment_id = experiment.experiment_id
        except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
            if isinstance(error, MlflowException) and error.error_code == UNAUTHENTICATED:
                raise RegistryError(f"the registry at {printable(uri)} asks for a password: {CREDENTIALS}") from error
            why = first_line(error).replace(uri, printable(uri))
            raise RegistryError(f"the registry in {printable(uri)} cannot be opened: {why}") from error
        return cls(client, uri, experiment_id, lake.cache / "models")

    @contextmanager
    def as_default(self) -> Iterator[None]:
        """Make the store that of MLflow's functions that take none, for a block.

        The variable alone does not do it where the process has called `mlflow.set_tracking_uri`.
        """
        before = os.environ.get(TRACKING_VARIABLE)
        try:
            with _use_tracking_uri(self.uri):
                yield
        finally:
            os.environ.pop(TRACKING_VARIABLE, None)
            if before is not None:
                os.environ[TRACKING_VARIABLE] = before


def _artifacts_of(lake: Lake, uri: str) -> str | None:
    """Return the place of the artifacts of a new experiment, None where a server says it."""
    given = os.environ.get(ARTIFACTS_VARIABLE)
    if given or is_server(uri):
        return given or None
    return lake.registry_artifacts.as_uri()
