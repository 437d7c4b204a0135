"""The metadata of a sample, a JSON file beside it: all that is needed to make it again and to compare the two.

The prompt's bytes lie beside it as `prompt-<digest>.mid`, so that the folder can be moved, and the user's own file too.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from flows.sampling.originality import OriginalityInfo
from flows.sampling.origins import NOWHERE, OpeningInfo, Origin, ParentInfo
from infra.errors import UserError
from infra.settings import one_line
from modeling.config import PLAIN, DrawingConfig, Rank
from registry.identity import ModelIdentity
from registry.piece import SHORT, Piece
from registry.prompts import Prompt
from registry.requests import PieceRequest

FORMAT: Final = 2
"""Format 1, which had no number, did not hold the request in full."""
PACKAGES = ("musenet", "torch", "numpy", "numba")
"""Packages whose versions may decide which tokens are drawn."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileInfo(_Strict):
    """A file of the sample."""

    name: str
    """In the folder of the metadata."""
    sha256: str


class SampleMetadata(_Strict):
    """The content of a sample's JSON file."""

    format: Literal[2] = FORMAT
    request: PieceRequest
    """As it was made; `prompt` is the path that the user gave."""
    digest: str
    """Of the request to this model: equal digests, equal pieces."""
    prompt: FileInfo | None
    model: ModelIdentity
    drawing: DrawingConfig = PLAIN
    """How it was drawn: what the request says, else the model's own settings."""
    candidate: int
    """Number of the chosen candidate."""
    rank: Rank = "none"
    """By what it was chosen; `none`: it was the first."""
    score: float | None
    """The critic's probability that the piece is real; None where the model has no critic."""
    likelihood: float | None = None
    """Mean log-likelihood of the tokens in nats, where candidates were ranked by it."""
    score_curve: list[tuple[float, float]] = []
    """Seconds at which windows along the piece end, half a window apart, and the critic's probability that each is
    real."""
    seam: float | None = None
    """Of an infilled piece: mean loss in nats of the first 16 tokens behind what was composed anew, by which the
    candidate was chosen; None where nothing follows."""
    tokens: int
    notes: int
    seconds: float
    tempo: float
    """Beats per minute at the beginning."""
    unheard: tuple[str, ...] = ()
    """Groups and instruments that were asked for by name and do not sound: suggestions that were not taken up, or
    required ones for which the piece left no room."""
    soundfont: FileInfo | None = None
    """That the audio was rendered with; its name is without the folder."""
    opening: OpeningInfo | None = None
    """The piece of the model's dataset that it begins like."""
    parent: ParentInfo | None = None
    """The sample that it goes on from."""
    originality: OriginalityInfo | None = None
    """What of it stands in the training pieces; None where it was not looked for."""
    files: dict[str, FileInfo]
    """`midi`, `text`, `picture` and, where it was asked for, `audio`."""
    made_with: dict[str, str]
    """Versions of packages and Python, kind of machine, device of the network."""


def surroundings(device: str) -> dict[str, str]:
    """Return versions, machine and device, for `SampleMetadata.made_with`."""
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    return {**versions, "python": platform.python_version(), "machine": platform.machine(), "device": device}


def metadata_of(
    piece: Piece,
    files: dict[str, FileInfo],
    soundfont: FileInfo | None = None,
    originality: OriginalityInfo | None = None,
    origin: Origin = NOWHERE,
) -> SampleMetadata:
    """Return the metadata of a piece whose files were written."""
    prompt = piece.prompt
    return SampleMetadata(
        request=piece.request,
        digest=piece.digest,
        prompt=None if prompt is None else FileInfo(name=prompt_name(prompt), sha256=prompt.sha256),
        model=piece.model,
        drawing=piece.drawing,
        candidate=piece.candidate,
        rank=piece.rank,
        score=None if piece.score is None else round(piece.score, 6),
        likelihood=None if piece.likelihood is None else round(piece.likelihood, 4),
        score_curve=piece.score_curve,
        seam=None if piece.seam is None else round(piece.seam, 4),
        tokens=len(piece.tokens),
        notes=len(piece.notes),
        seconds=round(piece.seconds, 3),
        tempo=round(piece.notes.tempo, 3),
        unheard=piece.unheard,
        soundfont=soundfont,
        originality=originality,
        opening=origin.opening,
        parent=origin.parent,
        files=files,
        made_with=surroundings(piece.device),
    )


def prompt_name(prompt: Prompt) -> str:
    """Return the name under which a prompt is kept beside the samples that continue it."""
    return f"prompt-{prompt.sha256[:SHORT]}{prompt.suffix}"


def read_metadata(file: Path) -> SampleMetadata:
    """Read a sample's JSON file. Raises UserError for a file that is none."""
    try:
        content = json.loads(file.read_bytes())
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{file} is not the metadata of a sample: {error}") from error
    found = content.get("format", 1) if isinstance(content, dict) else None
    if found != FORMAT:
        raise UserError(
            f"{file} is not metadata of format {FORMAT}, which this version of musenet makes again: "
            "give the request anew, with the options that it names"
        )
    try:
        return SampleMetadata.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{file} is damaged: {one_line(error)}") from error


def find_prompt(metadata: SampleMetadata, folder: Path) -> Prompt | None:
    """Return the prompt of a sample: the copy in its folder, or the file that was given. Raises UserError."""
    if metadata.prompt is None:
        return None
    places = [folder / metadata.prompt.name, *([metadata.request.prompt] if metadata.request.prompt else [])]
    for place in places:
        if place.is_file():
            prompt = Prompt(place.read_bytes(), str(place))
            if prompt.sha256 == metadata.prompt.sha256:
                return prompt
    raise UserError(f"the prompt is neither in {places[0]} nor, unchanged, in {places[-1]}; put it back to go on")
