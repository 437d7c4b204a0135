"""The settings of an evaluation. Its results follow from them, the dataset version and what is evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from flows.parameters import LakeAddress
from registry.requests import PieceRequest
from tokenization.measures import Extract

OF_EVALUATION = frozenset(
    {
        *("style", "blend", "instruments", "length", "seconds", "bars", "tempo", "best_of", "seed"),
        *("prompt", "prompt_notes", "prompt_seconds", "prompt_bars", "opening", "candidate"),
        *("infill", "replace", "add"),
    }
)
"""Fields of a request that the evaluation sets: they follow from the held-out piece and the settings."""


class EvaluationSettings(BaseModel):
    """What is composed, what of it is measured, and how sets are compared."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    pieces: int = Field(256, ge=2)
    """Pieces to compose for each style, and real ones at most to compare with."""
    references: int = Field(64, ge=0)
    """Pieces of the n-gram and of noise for each style; 0: no references."""
    styles: tuple[str, ...] = ()
    """Styles to evaluate; empty: all of the dataset."""
    least: int = Field(4, ge=2)
    """Held-out pieces that a style needs; smaller ones are taken together."""
    length: int = Field(1024, ge=32)
    """Tokens of a composed piece, or of the held-out one if that is shorter; a prompt comes in addition."""
    notes: int | None = Field(256, ge=16)
    """Notes of every piece that are measured, from the first on; none: all."""
    prompt_seconds: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Seconds of the held-out piece to continue, which are not measured; 0: the header alone."""
    copying: int = Field(32, ge=0)
    """Pieces of each set and style in which copies of training pieces are looked for, where the dataset has an index;
    a piece takes longer than all other measures together."""
    resamples: int = Field(1000, ge=10)
    """Drawings of the pieces with replacement, for intervals."""
    seed: int = Field(0, ge=0)
    rolls: int = Field(6, ge=0)
    """Composed pieces, each beside a real one, that the page shows."""
    suggest: bool = True
    """True: the groups of instruments that the header names are suggested, as where a request names them; False: the
    model sees the header alone."""
    request: PieceRequest = PieceRequest()
    """How the model draws: `request.temperature`, `request.top_p` and all else that `musenet sample` takes, except for
    what the evaluation sets."""

    @field_validator("request")
    @classmethod
    def _sets_no_music(cls, request: PieceRequest) -> PieceRequest:
        given = sorted(OF_EVALUATION & request.model_fields_set)
        taken = [name for name in given if getattr(request, name) != PieceRequest.model_fields[name].default]
        if taken:
            raise ValueError(f"request.{taken[0]} is set by the evaluation; leave it out")
        return request

    @property
    def extract(self) -> Extract:
        """The part of each piece that is measured."""
        return Extract(self.notes, self.prompt_seconds)

    def content(self) -> dict[str, Any]:
        """Return the settings that the numbers depend on, as JSON values."""
        return self.model_dump(mode="json", exclude={"rolls"})


class EvaluateParameters(BaseModel):
    """What to evaluate, against which dataset, and where to write."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    source: str
    """A folder of MIDI files, or an alias or version number of a registered model."""
    against: str | None = None
    """Alias or version number of a model to compare with, on the same pieces; None: none."""
    dataset: str | None = None
    """NAME or NAME@DIGEST; None: the one that the model was trained on."""
    settings: EvaluationSettings = EvaluationSettings()
    blind: bool = False
    """True: the page mixes composed and real piano rolls, and says at its end which are which."""
    out: Path | None = None
    """Folder to write into; None: one below `evaluations/` in the lake."""
    lake: LakeAddress

    @model_validator(mode="after")
    def _folder_has_dataset(self) -> Self:
        if self.folder is not None and self.dataset is None:
            raise ValueError(f"{self.folder} is a folder: name the dataset to compare with by --dataset")
        if self.folder is not None and self.against is not None:
            raise ValueError(f"{self.folder} is a folder: --against compares two models")
        return self

    @property
    def folder(self) -> Path | None:
        """The folder of MIDI files to evaluate, None for a model."""
        path = Path(self.source).expanduser()
        return path if path.is_dir() else None
