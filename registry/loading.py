"""Loading: from an alias or a version number to a model that composes."""

from __future__ import annotations

import os

from infra.lake import Lake
from infra.services.registry_address import has_registry
from registry.composer import Composer
from registry.models import REMEDY, RegisteredModel, UnknownModel, find_model
from registry.pulling import pull
from registry.store import Registry


def open_composer(
    registry: Registry, model: RegisteredModel, device: str = "cpu", lake: Lake | None = None
) -> Composer:
    """Return the composer of a registered version, its files copied to this machine. Raises RegistryError."""
    return Composer(pull(registry, model), model.identity, device, lake)


def load_composer(reference: str, lake: str | os.PathLike[str] | None, device: str) -> Composer:
    """Return the composer of an alias or version number in a lake's registry. Raises UnknownModel, RegistryError."""
    opened = Lake.at(lake)
    return open_composer(*find_registered(reference, opened), device, opened)


def find_registered(reference: str, lake: Lake) -> tuple[Registry, RegisteredModel]:
    """Return a lake's registry and the version of an alias or number in it. Raises UnknownModel."""
    if not has_registry(lake):
        raise UnknownModel(f"no model {reference!r}: {lake.root} has no registry; {REMEDY}")
    registry = Registry.open(lake)
    return registry, find_model(registry, reference)
