"""The request for a piece, in a musician's terms, as the command line, Python, tables and MLflow's `predict` take it.

A field that is added to `PieceRequest` reaches all four: `RequestOptions` are its fields as keyword arguments, and
`request_for_model` hands them to the network's side.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypedDict

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from infra.digests import canonical_digest
from infra.errors import UserError
from tokenization.midi import MidiError, read_midi
from tokenization.midi.notes import DEFAULT_TEMPO, Notes

if TYPE_CHECKING:
    from modeling.generation import Request

REQUEST_FORMAT: Final = 1
"""Raised when a request as it was written before would mean another piece."""
DEFAULT_LENGTH = 1024
SHORTEST = 32
"""Tokens of a piece at least."""


def _names(value: Any) -> Any:
    """Split text at its commas: `piano, strings`."""
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


def _path(value: Any) -> Any:
    return Path(value).expanduser() if isinstance(value, str) else value


class PieceRequest(BaseModel):
    """One piece to compose. Two requests with the same `digest` ask for the same piece of the same model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    style: str | None = None
    """A style of the model's dataset; None: the model chooses."""
    instruments: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    """Groups (`strings`) or instruments (`violin`), or text with commas. Empty: those of the prompt, else piano."""
    length: int | None = Field(None, ge=SHORTEST)
    """Tokens of the piece, prompt included; None: as `seconds` say, else DEFAULT_LENGTH."""
    seconds: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Length in time instead of tokens, by the tokens that music of the style takes a second in the dataset."""
    tempo: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Beats per minute; None: that of the prompt, else 120."""
    temperature: float = Field(1.0, gt=0, allow_inf_nan=False)
    top_p: float = Field(0.95, gt=0, le=1)
    """Probability mass of the tokens that are sampled from (nucleus sampling)."""
    top_k: int = Field(0, ge=0)
    """Number of the most probable tokens that are sampled from; 0: all."""
    min_p: float = Field(0.0, ge=0, le=1)
    """Least probability of a token that is sampled, as a share of the most probable one's."""
    typical: float = Field(1.0, gt=0, le=1)
    """Locally typical sampling: probability mass of the tokens that are kept; 1: all."""
    longest_note: float = Field(8.0, gt=0, allow_inf_nan=False)
    """Seconds after which a sounding note is ended."""
    guidance: float = Field(1.0, ge=1, allow_inf_nan=False)
    """Strength of classifier-free guidance towards style and instruments; 1: none."""
    best_of: int = Field(8, ge=1)
    """Candidates, of which the critic chooses one."""
    seed: int = Field(0, ge=0)
    weights: Literal["fp32", "int8"] = "fp32"
    """`int8`: the network's matrices rounded to 8 bits, which is faster; on a CPU only."""
    prompt: Annotated[Path | None, BeforeValidator(_path)] = None
    """A MIDI file to continue."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.length is not None and self.seconds is not None:
            raise ValueError(f"length = {self.length} and seconds = {self.seconds:g} exclude each other; give one")
        if self.prompt is not None and self.tempo is not None:
            raise ValueError(f"tempo = {self.tempo:g} cannot be given with a prompt, whose own tempo goes on")
        return self

    def content(self, prompt: Prompt | None) -> dict[str, Any]:
        """Return what identifies the request, as JSON values: the fields that differ from their defaults, with the
        digest of the prompt's bytes instead of its path.

        A field that is added with a default leaves the content of older requests as it was.
        """
        fields = self.model_dump(mode="json", exclude_defaults=True, exclude={"prompt", "length"})
        if self.instruments:
            fields["instruments"] = sorted(set(self.instruments))
        if self.length not in (None, DEFAULT_LENGTH):
            fields["length"] = self.length
        return fields | ({"prompt": prompt.sha256} if prompt else {})

    def digest(self, model: str, prompt: Prompt | None) -> str:
        """Return the digest of this request to the model whose files have the digest `model`: 32 hexadecimal digits."""
        return canonical_digest({"format": REQUEST_FORMAT, "request": self.content(prompt), "model": model})


class RequestOptions(TypedDict, total=False):
    """The fields of `PieceRequest` as keyword arguments; all have defaults."""

    style: str | None
    instruments: tuple[str, ...] | list[str] | str
    length: int | None
    seconds: float | None
    tempo: float | None
    temperature: float
    top_p: float
    top_k: int
    min_p: float
    typical: float
    longest_note: float
    guidance: float
    best_of: int
    seed: int
    weights: Literal["fp32", "int8"]
    prompt: Path | str | None


@dataclass(frozen=True)
class Prompt:
    """The bytes of a MIDI file to continue."""

    data: bytes
    name: str
    """Of the file, for messages."""

    @classmethod
    def of(cls, request: PieceRequest) -> Prompt | None:
        """Read the prompt of a request, None where it has none. Raises UserError."""
        if request.prompt is None:
            return None
        try:
            prompt = cls(request.prompt.expanduser().read_bytes(), str(request.prompt))
        except OSError as error:
            raise UserError(f"the prompt {request.prompt} cannot be read: {error.strerror}") from error
        prompt.notes  # noqa: B018 (raises for a file without music)
        return prompt

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def notes(self) -> Notes:
        """The music. Raises UserError for bytes that are no MIDI file with notes."""
        try:
            return read_midi(self.data)
        except MidiError as error:
            raise UserError(f"the prompt {self.name} cannot be used: {error}") from error


def request_for_model(request: PieceRequest, length: int, prompt: Prompt | None) -> Request:
    """Return the request in the terms of the network's side, for a piece of `length` tokens."""
    from modeling.generation import ExecutorConfig, Request, SamplingConfig

    return Request(
        style=request.style,
        instruments=request.instruments,
        length=length,
        best_of=request.best_of,
        seed=request.seed,
        tempo=DEFAULT_TEMPO if request.tempo is None else request.tempo,
        sampling=SamplingConfig(
            temperature=request.temperature,
            top_p=request.top_p,
            longest_note=request.longest_note,
            guidance=request.guidance,
            top_k=request.top_k,
            min_p=request.min_p,
            typical=request.typical,
        ),
        prompt=None if prompt is None else prompt.notes,
        executor=ExecutorConfig(weights=request.weights),
    )
