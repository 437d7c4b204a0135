"""What the starter model learns from and how long: 1,240 freely licensed pieces, listed with style and licence."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from flows.ingestion.licences import LicencePolicy
from flows.ingestion.publishing.encoding import TokenSettings
from flows.ingestion.sources import Collection, StyleRule
from flows.parameters import LakeAddress
from modeling.config import CriticConfig
from tokenization.encodings import Time

PIECES: Final = str(Path(__file__).with_name("pieces.csv"))
"""Path, style, licence and source of every piece; the model learns from no other file."""
LICENCES: Final = LicencePolicy(allow=("PD", "Apache-2.0", "BSD-3-Clause", "CC-BY-*"))
UNLISTED: Final = "unlisted"
"""The licence of files that `PIECES` does not list, which is none of those that are allowed."""
TOKENS: Final = TokenSettings(encoding="note", time=Time.BEATS)

CRITIC: Final = CriticConfig(
    window=512, hidden=32, hears="surprise", trunk="frozen", repeats=4, steps=1500, learning_rate=5e-3
)
"""A small head alone: a trunk of its own would double the file, and states would be learned by heart."""


class StarterParameters(BaseModel):
    """The folder of free music, and the file to write."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    corpus: str
    """A folder with the files of `PIECES` by their paths."""
    out: str
    """The file that the model is exported to."""
    dataset: str = "free"
    """Name of the dataset version that is published."""
    preset: str = "starter"
    settings: dict[str, Any] = {}
    """Changes to the preset by dotted key."""
    critic: CriticConfig = CRITIC
    critic_pieces: int = Field(1024, ge=8)
    """Generations that the critic learns from."""
    critic_held_out: int = Field(384, ge=4)
    """Those that it is calibrated and measured with."""
    lake: LakeAddress


def free_music(corpus: str) -> Collection:
    """Return the listed pieces of a folder as a collection."""
    return Collection(
        name="free", location=corpus, licence=UNLISTED, licences=PIECES, styles=(StyleRule(labels=PIECES),)
    )
