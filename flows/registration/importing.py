"""Importing a version that was exported elsewhere, or the starter model, and giving it an alias."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from flows.registration.naming import Alias, name_version
from flows.starter_model.shipped import STARTER, STARTER_FILE
from infra.errors import UserError
from infra.lake import Lake
from infra.settings import one_line
from registry.models import RegisteredModel, find_model
from registry.store import Registry
from registry.transfer import import_version


def import_model(lake: Lake, source: Path, alias: str | None = None) -> tuple[RegisteredModel, str | None]:
    """Register the version in a file or folder; return it, and why it did not become `champion` where it was to.

    `source`: what `registry.transfer.import_version` takes, or STARTER. Raises UserError, ChangedFile, RegistryError.
    """
    if alias is not None:
        try:
            TypeAdapter(Alias).validate_python(alias)
        except ValidationError as error:
            raise UserError(f"no alias {alias!r}: {one_line(error)}") from error
    file = STARTER_FILE if str(source) == STARTER and not source.exists() else source
    registry = Registry.open(lake)
    found = import_version(registry, file)
    if alias is None:
        return found, None
    named = name_version(lake, registry, found.version, alias)
    return find_model(registry, found.version), named.refused
