"""The MLflow store: a SQLite database and a folder of artifacts, and the one error that it raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from infra.errors import RunError

EXPERIMENT = "musenet"
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Makes MLflow's page show runs and metrics rather than traces."""


class RegistryError(RunError):
    """An operation that MLflow refused; the message is MLflow's own, in one line."""


@dataclass(frozen=True)
class Registry:
    """An open MLflow store."""

    client: MlflowClient
    uri: str
    experiment_id: str

    @classmethod
    def open(cls, database: Path, artifacts: Path) -> Registry:
        """Open the store in a SQLite file, created and migrated where it does not exist yet.

        Raises RegistryError when the file is not an MLflow database of this version.
        """
        database.parent.mkdir(parents=True, exist_ok=True)
        artifacts.mkdir(parents=True, exist_ok=True)
        uri = f"sqlite:///{database}"
        try:
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            experiment = client.get_experiment_by_name(EXPERIMENT)
            if experiment is None:
                experiment_id = client.create_experiment(
                    EXPERIMENT, artifact_location=artifacts.as_uri(), tags=EXPERIMENT_TAGS
                )
            else:
                experiment_id = experiment.experiment_id
        except (MlflowException, SQLAlchemyError) as error:
            raise RegistryError(f"the registry in {database} cannot be opened: {first_line(error)}") from error
        return cls(client, uri, experiment_id)


def first_line(error: Exception) -> str:
    """Return the first line of an exception's text, or its class where there is none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def registry_errors() -> Iterator[None]:
    """Work with an open store; any exception of the block becomes a RegistryError of one line."""
    try:
        yield
    except RegistryError:
        raise
    except Exception as error:  # from MLflow, SQLAlchemy, SQLite, alembic or the disk: no list would be complete
        raise RegistryError(first_line(error)) from error
