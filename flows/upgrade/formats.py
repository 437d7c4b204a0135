"""The formats of a lake's files: of each kind, how many this musenet reads, and what has to be made again.

Nothing is rewritten. What is immutable stays as it was published and is read in its format; of what is not read any
more, each reader's error says what to do. Parsed pieces of another reader are no fault: files are read again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from flows.training.runs import read_run
from infra.errors import MusenetError, RunError, message_of
from infra.lake import Lake
from modeling.criticism.critic import CRITIC_CONFIG, CRITIC_FORMAT
from modeling.network.weights import read_config
from modeling.training.run_folder import run_folders
from registry.identity import FILES
from registry.manifest import MANIFEST
from registry.version_folders import version_folders
from tokenization.dataset.description import DESCRIPTION_FILE
from tokenization.dataset.version import open_version

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Formats:
    """What of one kind is read, and what is not."""

    kind: str
    read: int
    refused: tuple[str, ...]
    """Of each that is not, the reason and what to do."""

    def lines(self) -> list[str]:
        """Say it in a line, and one for each that is refused."""
        return [f"{self.kind}: {self.read:,} can be read", *(f"  refused: {why}" for why in self.refused)]


def formats(lake: Lake) -> list[Formats]:
    """Examine the files of a lake on a disk."""
    datasets = sorted(path.parent for path in (lake.root / "datasets").glob(f"[!.]*/[!.]*/{DESCRIPTION_FILE}"))
    runs = run_folders(lake.runs)
    critics = sorted(path.parent for run in runs for path in run.critics.glob(f"[!.]*/{CRITIC_CONFIG}"))
    return [
        _examined("dataset versions", datasets, open_version),
        _examined("runs", runs, read_run),
        _examined("models of runs", [run.model for run in runs if run.has_model], read_config),
        _examined("critics of runs", critics, _require_critic),
        _examined("model versions", [*_versions(lake)], _require_version),
    ]


def _examined(kind: str, things: list[Thing], read: Callable[[Thing], object]) -> Formats:
    refused = []
    for thing in things:
        try:
            read(thing)
        except MusenetError as error:
            refused.append(message_of(error))
    return Formats(kind, len(things) - len(refused), tuple(refused))


def _require_critic(folder: Path) -> None:
    """Raise RunError for a critic of another format."""
    try:
        found = json.loads((folder / CRITIC_CONFIG).read_text(encoding="utf-8")).get("format", 1)
    except (OSError, ValueError, AttributeError) as error:
        raise RunError(f"{folder / CRITIC_CONFIG} cannot be read: {message_of(error)}; remove {folder}") from error
    if found != CRITIC_FORMAT:
        raise RunError(
            f"{folder / CRITIC_CONFIG} has format {found}, this musenet reads {CRITIC_FORMAT}: train the critic again, "
            "and register the model"
        )


def _versions(lake: Lake) -> Iterator[tuple[str, Path]]:
    """Yield the model versions whose files lie in the lake, each with its folder."""
    if lake.registry_database.exists():
        try:
            found = version_folders(lake.registry_database)
        except sqlite3.Error as error:
            raise RunError(f"{lake.registry_database} cannot be read: {error}") from error
        for version, folder in found.items():
            yield version, lake.registry_artifacts / folder


def _require_version(named: tuple[str, Path]) -> None:
    """Raise RunError for a model version that cannot be checked, or whose files are of another format."""
    version, folder = named
    if not (folder / MANIFEST).exists():
        raise RunError(f"model version {version} has no {MANIFEST} in {folder}: register its run again")
    try:
        read_config(folder / FILES)
        if (folder / FILES / CRITIC_CONFIG).exists():
            _require_critic(folder / FILES)
    except RunError as error:
        raise RunError(f"model version {version}: {error}") from error
