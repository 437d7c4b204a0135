"""Answers, and the events of those that come as a stream."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from registry.identity import ModelIdentity
from registry.serving.settings import Limits
from registry.tree import Node

NoteRow = tuple[float, float, int, int, str]
"""Onset and duration in seconds, pitch, velocity, and the name of the instrument."""


class Answer(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ErrorAnswer(Answer):
    """What was wrong, in one sentence."""

    error: str


class CandidateAnswer(Answer):
    """A candidate of a piece."""

    number: int = Field(description="Among the candidates of the seed.")
    name: str = Field(description="For its files.")
    score: float | None = Field(description="The critic's probability that it is real; null without a critic.")
    likelihood: float | None = Field(description="Mean log-likelihood in nats a token, where it was ranked by that.")
    seam: float | None = Field(description="Of an infill: mean loss in nats of the tokens behind it.")
    curve: list[tuple[float, float]] = Field(description="Seconds, and the score of the window that ends there.")
    seconds: float
    tokens: int
    has_ended: bool = Field(description="False for one that can go on.")
    instruments: list[str] = Field(description="Groups in its header.")
    unheard: list[str] = Field([], description="Groups and instruments that were asked for and do not sound.")
    notes: list[NoteRow] = Field(description="Onset, duration, pitch, velocity, instrument; by onset.")
    midi: str = Field(description="The MIDI file, in base64.")
    node: Node = Field(description="Its state, from which `/v1/continue` goes on.")


class PieceAnswer(Answer):
    """The candidates of a piece, the best first."""

    digest: str = Field(description="Of the request to this model.")
    link: str | None = Field(description="From which the same answer comes again; null where it is not complete.")
    complete: bool = Field(description="False if it was cut short.")
    message: str | None = Field(description="Why it was cut short.")
    notices: list[str] = Field(description="What the request implies.")
    model: ModelIdentity
    request: dict[str, Any] = Field(description="Fields that differ from their defaults; the prompt by its SHA-256.")
    candidates: list[CandidateAnswer]


class ScoreAnswer(Answer):
    """What model and critic say of a piece."""

    score: float | None = Field(description="The critic's probability that it is real; null without a critic.")
    curve: list[tuple[float, float]] = Field(description="Seconds, and the score of the window that ends there.")
    nats_per_token: float
    nats_per_note: float
    tokens: int
    notes: int
    seconds: float


class InstrumentAnswer(Answer):
    """An instrument of a model."""

    name: str
    group: str
    program: int = Field(description="General MIDI program.")
    drums: bool
    lowest: int
    highest: int


class ModelAnswer(Answer):
    """The model that is served."""

    reference: str = Field(description="Alias or version that the server follows.")
    name: str
    version: str | None
    digest: str
    dataset: str
    run: str
    card: str = Field(description="Markdown.")
    has_critic: bool
    encoding: str
    time: str
    context: int
    styles: list[str]
    groups: list[str]
    instruments: list[InstrumentAnswer]
    limits: Limits


class ModelsAnswer(Answer):
    """The models that are served: one."""

    models: list[ModelAnswer]


class StyleAnswer(Answer):
    """A style, and its place on the map of styles."""

    name: str
    x: float
    y: float
    nearest: list[str] = Field(description="Styles whose embeddings are most similar, the nearest first.")


class StylesAnswer(Answer):
    """The map of styles: t-SNE of the cosine similarity of their embeddings, from -1 to 1."""

    styles: list[StyleAnswer]


class OpeningAnswer(Answer):
    """A piece of the model's dataset."""

    name: str
    style: str | None
    split: str
    notes: int
    seconds: float
    is_trained_on: bool


class OpeningsAnswer(Answer):
    """Pieces of the model's dataset."""

    total: int
    openings: list[OpeningAnswer]


class HealthAnswer(Answer):
    """The process answers."""

    status: Literal["ok"]


class ReadyAnswer(Answer):
    """Whether requests are taken."""

    status: Literal["ready", "loading", "failed", "draining"] = Field(
        description="`failed`: no model could be loaded; the log says why, and it is tried again."
    )
    version: str | None
    running: int
    queued: int


class Queued(Answer):
    """Event `queued`."""

    position: int = Field(description="Requests before this one.")


class Begun(Answer):
    """Event `begun`."""

    model: ModelIdentity
    notices: list[str]
    candidates: list[int]
    prompt: list[NoteRow] = Field(description="Notes that all candidates begin with.")
    seconds: float = Field(description="Of the prompt.")


class NewNotes(Answer):
    """Event `notes`: notes of a candidate that are final, each once."""

    candidate: int
    notes: list[NoteRow]
    seconds: float = Field(description="That the candidate has come to.")


class Progress(Answer):
    """Event `progress`."""

    tokens: int
    total: int
    candidates: list[int] = Field(description="Those that still grow.")
    seconds: dict[int, float] = Field(description="That each of them has come to.")


class Ranking(Answer):
    """Event `ranking`: the candidates are made, and the critic listens."""
