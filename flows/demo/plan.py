"""The demo's parameters, starter collections and report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from flows.ingestion.publishing.encoding import TokenSettings
from flows.ingestion.sources import Collection, collection_of
from flows.ingestion.starter import FREEDOOM, classical
from flows.parameters import LakeAddress
from flows.sampling.export import Sample
from infra.errors import UserError
from infra.lake import Lake
from modeling.config import CriticConfig
from tokenization.encodings import Time

FREEDOOM_LICENCE = "BSD-3-Clause"


class DemoParameters(BaseModel):
    """Parameters of the demo; the defaults are for two processor cores."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    dataset: str = "starter"
    tokens: TokenSettings = TokenSettings(encoding="note", time=Time.BEATS)
    """The encoding of the dataset."""
    preset: str = "sketch"
    settings: dict[str, Any] = {}
    """Changes to the preset by dotted key."""
    critic: CriticConfig = CriticConfig(trunk="frozen", steps=100)
    """A head alone, which is trained in less than a minute."""
    style: str = "bach"
    instruments: list[str] = ["piano"]
    best_of: int = Field(8, ge=1)
    length: int = Field(1024, ge=32)
    seed: int = Field(0, ge=0)
    lake: LakeAddress


@dataclass(frozen=True)
class StageReport:
    """One stage of the demo and its result."""

    name: str
    made: str
    where: str
    reused: bool = False


@dataclass(frozen=True)
class DemoReport:
    """All stages, their durations in seconds, and the composed piece."""

    stages: list[StageReport]
    seconds: list[float]
    best: Sample


def starter_collections(lake: Lake, workers: int, on_progress: Callable[[int, int], None]) -> list[Collection]:
    """Return the shipped band music, of style `game`, and classical pieces labelled by composer.

    The classical pieces are converted at the first call. Raises UserError when music21 is missing or converts nothing.
    """
    cache = lake.cache / "starter" / classical.cache_name()
    failures = classical.convert(cache, workers, on_progress)
    converted = [folder for folder in sorted(cache.iterdir()) if any(folder.glob("*.mid"))] if cache.exists() else []
    if not converted:
        raise UserError(f"no classical starter piece could be converted: {failures[0].reason if failures else 'none'}")
    freedoom = collection_of("freedoom", FREEDOOM, licence=FREEDOOM_LICENCE, style="game")
    return [freedoom, collection_of("classical", cache, licence=classical.LICENCE)]
