"""References: the dataset versions and training runs that must stay, and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from infra.errors import UserError
from infra.lake import Lake
from infra.services.registry_address import has_registry
from modeling.training.run_folder import run_folders
from tokenization.dataset import DatasetVersion


@dataclass(frozen=True)
class Kept:
    """Dataset versions that stay, with the reason for each; those of the lake that do not stay."""

    versions: tuple[tuple[DatasetVersion, str], ...]
    others: tuple[DatasetVersion, ...]


def referring(lake: Lake) -> dict[str, str]:
    """Return what refers to dataset versions, by `name@digest`.

    Raises UserError for a run that cannot be read, since what it needs is not known, and RegistryError.
    """
    found: dict[str, str] = {}
    for folder in run_folders(lake.runs):
        try:
            dataset = json.loads(folder.config.read_text(encoding="utf-8"))["dataset"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{folder.config} cannot be read: what the run needs is not known; remove {folder}, or mend it"
            ) from error
        found.setdefault(str(dataset), f"run {folder.run_id}")
    if has_registry(lake):
        from registry.references import list_references
        from registry.store import Registry

        registry = Registry.open(lake)
        for reference in list_references(registry):
            found.setdefault(reference.dataset, reference.what)
    return found


def divide(versions: Sequence[DatasetVersion], references: dict[str, str], keep: int) -> Kept:
    """Divide versions (oldest first) into those that stay and others. The newest `keep` of each name stay."""
    kept, others = [], []
    newer: dict[str, int] = {}
    for version in reversed(versions):
        rank = newer[version.name] = newer.get(version.name, 0) + 1
        what = references.get(f"{version.name}@{version.digest}")
        if what is not None:
            kept.append((version, what))
        elif rank <= keep:
            kept.append((version, "the newest" if rank == 1 else f"the newest but {rank - 1}"))
        else:
            others.append(version)
    return Kept(tuple(reversed(kept)), tuple(reversed(others)))
