"""Refusing what MLflow would drop: parameters and columns that a model's signature does not name.

MLflow logs a warning and computes the answer without them, as if a misspelt temperature had never been given. No
model can see them: they are gone before its `predict`. The warnings themselves are therefore made errors here, those
about this model's signature alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from mlflow.exceptions import INVALID_PARAMETER_VALUE, MlflowException

from infra.errors import nearest

LOGGER = "mlflow.models.utils"
"""MLflow's logger of the warnings."""
PARAMETERS, COLUMNS = "Unrecognized params ", "Found extra inputs in the model input"
"""How the warnings begin."""


class Refusals(logging.Filter):
    """Raises MlflowException, which MLflow answers with status 400, in place of a warning about dropped input."""

    def __init__(self, parameters: Iterable[str], columns: Iterable[str]) -> None:
        super().__init__()
        self.parameters, self.columns = tuple(parameters), tuple(columns)

    def install(self) -> None:
        """Look at all further warnings, whatever MLflow's level of logging is."""
        logger = logging.getLogger(LOGGER)
        for other in [each for each in logger.filters if isinstance(each, Refusals)]:
            logger.removeFilter(other)
        logger.setLevel(logging.WARNING)
        logger.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Raise for a warning about this model's parameters or columns; let others pass."""
        message = record.getMessage()
        if message.startswith(PARAMETERS) and all(repr(name) in message for name in self.parameters):
            given, _, _ = message.removeprefix(PARAMETERS).partition(" are ignored")
            raise self._unknown("parameter", given, self.parameters)
        if message.startswith(COLUMNS):
            _, _, given = message.partition("signature: `")
            raise self._unknown("column", given.partition("`")[0], self.columns)
        return True

    @staticmethod
    def _unknown(kind: str, listed: str, known: tuple[str, ...]) -> MlflowException:
        names = [name.strip(" '\"[]{}") for name in listed.split(",")]
        found = "; ".join(f"no {kind} {name!r}{nearest(name, known)}" for name in names)
        text = f"{found}; the model takes the {kind}s {', '.join(known)}"
        return MlflowException(text, error_code=INVALID_PARAMETER_VALUE)
