"""Sampling requests: a user's parameters, checked before anything is generated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from flows.parameters import LakeAddress
from infra.errors import UserError
from modeling.generation import Request, SamplingConfig
from tokenization.midi import MidiError, read_midi
from tokenization.midi.notes import DEFAULT_TEMPO, Notes


class SampleParameters(BaseModel):
    """The pieces to compose, and the registered model to compose them with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = "champion"
    """An alias or a version number."""
    style: str | None = None
    instruments: list[str] = []
    """Groups (`strings`) or instruments (`violin`); empty: those of the prompt, or else piano."""
    count: int = Field(1, ge=1)
    """Pieces to write."""
    best_of: int = Field(8, ge=1)
    """Candidates for each piece, of which the critic chooses one."""
    length: int = Field(1024, ge=32)
    """Tokens of a piece, prompt included."""
    tempo: float = Field(DEFAULT_TEMPO, gt=0, allow_inf_nan=False)
    temperature: float = Field(1.0, gt=0, allow_inf_nan=False)
    top_p: float = Field(0.95, gt=0, le=1)
    longest_note: float = Field(8.0, gt=0, allow_inf_nan=False)
    """Seconds after which a sounding note is ended."""
    guidance: float = Field(1.0, ge=1, allow_inf_nan=False)
    """Strength of classifier-free guidance towards style and instruments; 1: none."""
    seed: int = Field(0, ge=0)
    prompt: Path | None = None
    """A MIDI file to continue."""
    out: Path | None = None
    """Folder to write into; None: `samples/` in the lake."""
    lake: LakeAddress


def read_prompt(path: Path) -> Notes:
    """Read the notes of a prompt file. Raises UserError."""
    try:
        return read_midi(path.expanduser().read_bytes())
    except OSError as error:
        raise UserError(f"the prompt {path} cannot be read: {error.strerror}") from error
    except MidiError as error:
        raise UserError(f"the prompt {path} cannot be used: {error}") from error


def piece_request(parameters: SampleParameters, number: int, prompt: Notes | None) -> Request:
    """Return the request for the piece of a number; each piece has its own seed."""
    return Request(
        style=parameters.style,
        instruments=tuple(parameters.instruments),
        length=parameters.length,
        best_of=parameters.best_of,
        seed=parameters.seed + number,
        tempo=parameters.tempo,
        sampling=SamplingConfig(parameters.temperature, parameters.top_p, parameters.longest_note, parameters.guidance),
        prompt=prompt,
    )


def provenance(parameters: SampleParameters, version: str, dataset: str, number: int) -> dict[str, Any]:
    """Return the origin of a piece, for its metadata."""
    name, _, digest = dataset.partition("@")
    return {
        "model_version": version,
        "dataset": name,
        "dataset_digest": digest,
        "style": parameters.style,
        "instruments": parameters.instruments,
        "seed": parameters.seed + number,
        "best_of": parameters.best_of,
        "length": parameters.length,
        "temperature": parameters.temperature,
        "top_p": parameters.top_p,
        "longest_note": parameters.longest_note,
        "guidance": parameters.guidance,
        "prompt": str(parameters.prompt) if parameters.prompt else None,
    }
