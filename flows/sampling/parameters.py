"""Parameters of the sampling flows: the request, the model that answers it, and the files to write."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from flows.parameters import LakeAddress
from infra.lake import Lake
from registry.requests import PieceRequest


class OutputParameters(BaseModel):
    """Where and how pieces are written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    out: Path | None = None
    """Folder to write into; None: `samples/` in the lake."""
    lake: LakeAddress

    @property
    def folder(self) -> Path:
        """The folder to write into."""
        return self.out or Lake.at(self.lake).samples


class SampleParameters(PieceRequest, OutputParameters):
    """The pieces to compose, and the registered model to compose them with."""

    model: str = "champion"
    """An alias or a version number."""
    count: int = Field(1, ge=1)
    """Pieces to write; each further one has the next seed."""

    def requests(self) -> list[PieceRequest]:
        """Return the request of each piece."""
        fields = {name: getattr(self, name) for name in PieceRequest.model_fields}
        return [PieceRequest(**{**fields, "seed": self.seed + number}) for number in range(self.count)]


class AgainParameters(OutputParameters):
    """A sample to make again."""

    metadata: Path
    """Its JSON file."""
    model: str | None = None
    """Alias or version number of a model to make it with; None: the one with the same files."""
    out: Path | None = None
    """Folder for the files of the new sample; None: it is compared, and those files that are missing are restored."""
