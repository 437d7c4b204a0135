"""Parameters of the sampling flows: the request, the model that answers it, and the files to write."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flows.engines import EngineName
from flows.parameters import LakeAddress
from flows.sampling.export import AudioOutput
from infra.hardware import available_cores
from infra.lake import Lake
from registry.audio import AudioFormat, Soundfont
from registry.requests import PieceRequest


class OutputParameters(BaseModel):
    """Where and how pieces are written."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    out: Path | None = None
    """Folder to write into; None: `samples/` in the lake."""
    lake: LakeAddress

    @property
    def folder(self) -> Path:
        """The folder to write into."""
        return self.out or Lake.at(self.lake).samples


class AudioParameters(OutputParameters):
    """Audio to write beside the MIDI files."""

    audio: AudioFormat | None = None
    soundfont: Path | None = None
    """A .sf2 file; None: `$MUSENET_SOUNDFONT`, else one that is installed."""

    def audio_output(self) -> AudioOutput | None:
        """Return the audio to write, None for none. Raises UserError where audio cannot be rendered here."""
        return None if self.audio is None else AudioOutput(self.audio, Soundfont.find(self.soundfont))


class SampleParameters(PieceRequest, AudioParameters):
    """The pieces to compose, and the registered model to compose them with."""

    model: str = "champion"
    """An alias or a version number."""
    source: Path | None = None
    """Metadata of a sample to go on from; its settings are those of the request but for those that are given."""
    at: float | None = Field(None, ge=0, allow_inf_nan=False)
    """Seconds of that sample that are kept; None: all of it."""
    count: int = Field(1, ge=1)
    """Pieces to write; each further one has the next seed."""
    refuse_copies: int | None = Field(None, ge=8)
    """Draw a piece again that has a copy of so many notes or more from a training piece; None: copies are reported."""

    @model_validator(mode="after")
    def _one_beginning(self) -> Self:
        if self.source is None and self.at is not None:
            raise ValueError(f"at = {self.at:g} is of no use without a sample to go on from")
        if self.source is not None and self.has_prompt:
            raise ValueError("a prompt or opening and a sample to go on from exclude each other; give one")
        return self

    @property
    def request(self) -> PieceRequest:
        """The request for the first piece, where it goes on from no sample."""
        return PieceRequest(**{name: getattr(self, name) for name in PieceRequest.model_fields})

    def requests(self, first: PieceRequest) -> list[PieceRequest]:
        """Return the request of each piece, given the first one's."""
        return [first.model_copy(update={"seed": first.seed + number}) for number in range(self.count)]


class AgainParameters(OutputParameters):
    """A sample to make again."""

    metadata: Path
    """Its JSON file."""
    model: str | None = None
    """Alias or version number of a model to make it with; None: the one with the same files."""
    out: Path | None = None
    """Folder for the files of the new sample; None: it is compared, and those files that are missing are restored."""


class TableParameters(AudioParameters):
    """A table of requests to work through."""

    requests: Path
    """CSV, Parquet or JSON: see `flows.sampling.request_table`."""
    defaults: dict[str, Any] = {}
    """Fields of the requests for all rows, where the table does not give them."""
    model: str = "champion"
    """An alias or a version number."""
    engine: EngineName = EngineName.LOCAL
    workers: int = Field(default_factory=available_cores, ge=1)
    """Processes of an engine that is started for the run; each loads the model."""
    cluster: str | None = None
    """Address of a running Ray or Dask cluster."""
    seconds_per_piece: float = Field(3600.0, gt=0)
    """A worker that takes longer is ended, and its row fails."""

    @property
    def folder(self) -> Path:
        """The folder to write into."""
        return self.out or Lake.at(self.lake).samples / self.requests.stem

    @property
    def index(self) -> Path:
        """The index beside the samples."""
        return self.folder / f"{self.requests.stem}.index.parquet"
