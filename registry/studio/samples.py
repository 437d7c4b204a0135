"""Samples that were composed beforehand: files of `musenet sample`, in a folder of the model that composed them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ValidationError

from registry.composer import Composer
from registry.piece import Piece
from registry.requests import PieceRequest
from tokenization.vocabulary import VocabularyError

METADATA, TOKENS = ".json", ".txt"


class _Metadata(BaseModel):
    """What is read of a sample's metadata, which say more."""

    request: PieceRequest
    candidate: int
    score: float | None
    score_curve: list[tuple[float, float]] = []
    notes: int
    seconds: float


@dataclass(frozen=True)
class PreparedSample:
    """A sample in a folder."""

    name: str
    file: Path
    about: _Metadata

    def piece(self, composer: Composer) -> Piece:
        """Return its piece. Raises OSError and VocabularyError for a file of tokens that cannot be read."""
        text = self.file.with_suffix(TOKENS).read_text()
        tokens = np.asarray(composer.encoding.vocabulary.from_text(text))
        about = self.about
        return Piece(
            about.request,
            None,
            composer.identity,
            composer.encoding,
            tokens,
            about.score,
            about.candidate,
            composer.device,
        )


def list_samples(folder: Path) -> list[PreparedSample]:
    """Return the samples of a folder, by style and seed; files that cannot be read are left out."""
    found = [each for file in sorted(folder.glob(f"*{METADATA}")) if (each := _read(file)) is not None]
    return sorted(found, key=lambda sample: (sample.about.request.style or "", sample.about.request.seed))


def find_sample(folder: Path, name: str, composer: Composer) -> Piece | None:
    """Return the piece of a sample, None for one that is not there or cannot be read."""
    sample = _read(folder / f"{name}{METADATA}")
    try:
        return None if sample is None else sample.piece(composer)
    except (OSError, ValueError, VocabularyError):
        return None


def _read(file: Path) -> PreparedSample | None:
    try:
        return PreparedSample(file.stem, file, _Metadata.model_validate_json(file.read_bytes()))
    except (OSError, ValidationError):
        return None
