"""The one error of the registry, and turning what MLflow raises into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from infra.errors import RunError


class RegistryError(RunError):
    """An operation that MLflow refused; the message is MLflow's own, in one line."""


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
