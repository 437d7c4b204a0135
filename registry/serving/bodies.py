"""The bodies of requests: the fields of a `PieceRequest`, with music as text instead of the path of a file.

They are strict: unknown fields are refused, and values of another type. Music is a MIDI file in base64, or tokens in
their text form.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from registry.prompts import Prompt
from registry.requests import PieceRequest
from registry.tree import Node

PROMPT = "prompt"
"""Name of a prompt in messages."""
_MUSIC = "A MIDI file in base64, or tokens in their text form."
_STREAM = Field(False, description="Answer with server-sent events while the piece is made.")
_AHEAD = Field(None, ge=1, description="Tokens behind header and prompt after which candidates stop, to be continued.")


class ComposeBody(PieceRequest):
    """A piece to compose."""

    model_config = ConfigDict(strict=True)

    prompt: str | None = Field(None, description=f"Music to begin with. {_MUSIC}")  # type: ignore[assignment]
    stream: bool = _STREAM
    ahead: int | None = _AHEAD

    def request(self) -> tuple[PieceRequest, Prompt | None]:
        """Return the request and its prompt. Raises UserError for a prompt that is no music."""
        given = {name: getattr(self, name) for name in self.model_fields_set & PieceRequest.model_fields.keys()}
        text: str | None = given.pop("prompt", None)
        prompt = None if text is None else Prompt.of_text(text, PROMPT)
        named = {} if prompt is None else {"prompt": Path(prompt.name)}
        return PieceRequest.model_validate(given | named), prompt


class InfillBody(ComposeBody):
    """A part of a given piece to compose anew."""

    @model_validator(mode="after")
    def _is_an_infill(self) -> Self:
        if not self.is_infill:
            raise ValueError("infill, replace or add say what to compose anew; give one")
        if not self.has_prompt:
            raise ValueError("give the piece to change as prompt or opening")
        return self


class Changes(PieceRequest):
    """Fields of a request that change."""

    model_config = ConfigDict(strict=True)

    prompt: None = None

    def given(self) -> dict[str, Any]:
        """Return the fields that are given."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class ContinueBody(BaseModel):
    """A candidate to go on from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    node: Node = Field(description="The `node` of a candidate.")
    at: int | None = Field(None, ge=0, strict=True, description="Tokens of it that are kept, its header included.")
    at_seconds: float | None = Field(None, ge=0, strict=True, description="Seconds of it that are kept.")
    changes: Changes = Field(default_factory=Changes, description="Settings that change: another seed, for example.")
    stream: bool = _STREAM
    ahead: int | None = _AHEAD

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.at is not None and self.at_seconds is not None:
            raise ValueError("at and at_seconds exclude each other; give one")
        return self


class ScoreBody(BaseModel):
    """A piece to judge."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    piece: str = Field(description=_MUSIC)
    style: str | None = Field(None, description="Style that it is judged as; none: as tokens say.")
