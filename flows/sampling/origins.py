"""The origins of samples: pieces of the model's dataset that they begin like, and samples that they go on from."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from infra.errors import UserError
from registry.openings import Opening


class OpeningInfo(BaseModel):
    """The piece of the model's dataset that a sample begins like."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    piece: str
    """SHA-256 of its file."""
    split: str
    """`train`: the model has learned from this very piece."""

    @classmethod
    def of(cls, opening: Opening | None) -> OpeningInfo | None:
        """Return what the metadata say about an opening."""
        return None if opening is None else cls(name=opening.name, piece=opening.piece, split=opening.split)


class ParentInfo(BaseModel):
    """The sample that another one goes on from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """Of its JSON file."""
    digest: str
    """Of its request to its model."""
    midi: str
    """SHA-256 of its MIDI file."""
    at: int
    """Its tokens that were kept, header included."""


@dataclass(frozen=True)
class Origin:
    """What a sample begins with."""

    opening: OpeningInfo | None = None
    parent: ParentInfo | None = None


NOWHERE = Origin()
"""Of a sample that begins with nothing, or with a file of the user's."""


def opening_lines(opening: Opening | None, refuse_copies: int | None) -> list[str]:
    """Return what an opening implies, a line for each point.

    Raises UserError where copies are to be refused and the opening itself is one.
    """
    if opening is None or not opening.is_trained_on:
        return []
    if refuse_copies is not None:
        raise UserError(
            f"copies cannot be refused behind {opening.name}, which is itself a training piece; `musenet openings` "
            "lists pieces that are not"
        )
    return [f"{opening.name} is one of the pieces that the model was trained on: it may know how it goes on"]
