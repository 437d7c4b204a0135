"""Aliases with a history: which version was champion when, who made it so, and the one before.

The history of an alias is a tag of the registered model. Alias and history change under one lock, so that of two
promotions at once one is first, and the other sees it. The lock is the lake's: promotions from several lakes on one
server are ordered by the server alone.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from mlflow.exceptions import MlflowException
from pydantic import BaseModel, ConfigDict, TypeAdapter

from infra.errors import RunError
from infra.locks import exclusive
from registry.errors import RegistryError, first_line
from registry.identity import MODEL_NAME
from registry.models import set_alias
from registry.provenance import user_name
from registry.store import Registry

TAG = "history."
"""Begins the name of the tag with an alias's history."""
LONGEST = 40
"""Changes that are kept; MLflow keeps 5,000 characters of a tag."""


class Change(BaseModel):
    """An alias was moved to a version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    at: datetime
    by: str
    how: str
    """`promoted`, `forced`, `rolled back`, or `found`: by other means than these."""


CHANGES = TypeAdapter(tuple[Change, ...])


class AliasChanged(RunError):
    """An alias is not where it was when the change to it was decided."""


def alias_history(registry: Registry, alias: str) -> tuple[Change, ...]:
    """Return the changes of an alias, oldest first. Raises RegistryError."""
    try:
        tags = registry.client.get_registered_model(MODEL_NAME).tags
    except MlflowException as error:
        raise RegistryError(f"the history of {alias} cannot be read: {first_line(error)}") from error
    return CHANGES.validate_json(tags.get(f"{TAG}{alias}", "[]"))


def version_of(registry: Registry, alias: str) -> str | None:
    """Return the version of an alias, None where there is none."""
    try:
        found = dict(registry.client.get_registered_model(MODEL_NAME).aliases).get(alias)
    except MlflowException:  # nothing is registered yet
        return None
    return None if found is None else str(found)


def move_alias(registry: Registry, alias: str, version: str, expected: str | None, how: str) -> None:
    """Move an alias to a version, and keep that in its history.

    `expected`: the version that it has had, which the decision was based on. Raises AliasChanged where it has another
    by now, and RegistryError.
    """
    with exclusive(registry.cache / "aliases.lock"):
        found = version_of(registry, alias)
        if found != expected:
            raise AliasChanged(
                f"{alias} is version {found or 'none'} by now, not {expected or 'none'}; another promotion was first"
            )
        changes = alias_history(registry, alias)
        if found is not None and (not changes or changes[-1].version != found):  # moved by other means
            changes = (*changes, _change(found, "found"))
        _move(registry, alias, version, how, changes)


def roll_back(registry: Registry, alias: str) -> tuple[str, str]:
    """Move an alias to the version that it had before; return the version it had until now, and that one.

    A further rollback goes further back. Raises RunError where there was none before, and RegistryError.
    """
    with exclusive(registry.cache / "aliases.lock"):
        now = version_of(registry, alias)
        if now is None:
            raise RunError(f"no version is {alias}")
        changes = alias_history(registry, alias)
        current = max((at for at, change in enumerate(changes) if change.version == now), default=None)
        if current is None or current == 0:
            raise RunError(f"version {now} is the first {alias}: nothing was it before")
        before = changes[current - 1].version
        # The change that is taken back leaves the history, with any behind it.
        _move(registry, alias, before, "rolled back", changes[: current - 1])
    return now, before


def _move(registry: Registry, alias: str, version: str, how: str, history: tuple[Change, ...]) -> None:
    changes = (*history, _change(version, how))[-LONGEST:]
    text = json.dumps(CHANGES.dump_python(changes, mode="json"), separators=(",", ":"))
    set_alias(registry, version, alias)
    registry.client.set_registered_model_tag(MODEL_NAME, f"{TAG}{alias}", text)


def _change(version: str, how: str) -> Change:
    return Change(version=version, at=datetime.now(UTC).replace(microsecond=0), by=user_name(), how=how)
