"""Loading: from an alias or a version number to a model that composes."""

from __future__ import annotations

import os

from infra.lake import Lake
from registry.composer import Composer
from registry.models import RegisteredModel, UnknownModel, find_model, pull
from registry.store import Registry


def open_composer(registry: Registry, model: RegisteredModel, device: str = "cpu") -> Composer:
    """Return the composer of a registered version, its files copied to this machine. Raises RegistryError."""
    return Composer(pull(registry, model), model.identity, device)


def load_composer(reference: str, lake: str | os.PathLike[str] | None, device: str) -> Composer:
    """Return the composer of an alias or version number in a lake's registry. Raises UnknownModel, RegistryError."""
    opened = Lake.at(lake)
    if not opened.registry_database.exists():  # opening would make an empty one
        raise UnknownModel(f"no model {reference!r}: {opened.root} has no registry; `musenet demo` makes a first model")
    registry = Registry.open(opened.registry_database, opened.registry_artifacts)
    return open_composer(registry, find_model(registry, reference), device)
