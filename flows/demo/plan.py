"""The demo's parameters, starter collections and report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from flows.evaluation.settings import EvaluationSettings
from flows.ingestion.sources import Collection, collection_of
from flows.ingestion.starter import FREEDOOM, classical
from flows.parameters import LakeAddress
from flows.sampling.export import Sample
from flows.starter_model.recipe import CRITIC
from flows.starter_model.shipped import STARTER_FILE
from infra.errors import UserError
from infra.lake import Lake
from modeling.config import CriticConfig

FREEDOOM_LICENCE = "BSD-3-Clause"
TRAINING: Final[dict[str, Any]] = {
    "training.steps": 20,
    "training.batch_size": 4,
    "training.micro_batch_size": 4,
    "training.evaluate_every": 20,
    "training.checkpoint_every": 10,
}
"""Changes to the starter model's own settings: a minute."""


class DemoPiece(BaseModel):
    """A piece to compose."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    style: str
    instruments: tuple[str, ...]


class DemoParameters(BaseModel):
    """Parameters of the demo; the defaults are for two processor cores."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    model: str = str(STARTER_FILE)
    """The exported version to begin with."""
    dataset: str = "starter"
    settings: dict[str, Any] = {}
    """Changes to TRAINING by dotted key."""
    critic: CriticConfig = CRITIC.model_copy(update={"window": 256, "repeats": 10, "steps": 80, "learning_rate": 2e-3})
    """A head of the shape of the starter model's, which it begins with."""
    evaluation: EvaluationSettings = EvaluationSettings(
        pieces=6, references=0, length=512, notes=None, copying=0, resamples=400, rolls=3
    )
    """Of the trained model beside the one that it began with."""
    pieces: tuple[DemoPiece, ...] = (
        DemoPiece(style="bach", instruments=("piano",)),
        DemoPiece(style="mozart", instruments=("strings",)),
        DemoPiece(style="joplin", instruments=("piano",)),
        DemoPiece(style="game", instruments=("guitar", "bass", "drums")),
    )
    """What is composed at the end."""
    best_of: int = Field(2, ge=1)
    """Candidates of each piece, where the critic beats chance."""
    seconds: float = Field(40.0, gt=0, le=600)
    """Of each piece."""
    seed: int = Field(0, ge=0)
    studio: str = "musenet studio"
    """The command that opens the studio, as it is told to the reader of the progress lines."""
    lake: LakeAddress


@dataclass(frozen=True)
class StageReport:
    """One stage of the demo and its result."""

    name: str
    made: str
    where: str
    seconds: float
    reused: bool = False


@dataclass(frozen=True)
class DemoReport:
    """All stages, and the composed pieces."""

    stages: list[StageReport]
    pieces: list[Sample]
    champion: str
    """The version that composed them."""


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
