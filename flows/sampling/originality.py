"""The originality of samples: each is checked against the training pieces of its model, and drawn again if asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from pydantic import BaseModel, ConfigDict

from flows.originality import find_index
from infra.errors import RunError, UserError
from infra.lake import Lake
from registry.piece import Piece
from registry.requests import PieceRequest
from tokenization.originality import Copy, OriginalityIndex

TRIES = 8
"""Draws for a piece, the first one included, until one has no copy that is refused."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NearPiece(_Strict):
    """A training piece with notes of the sample."""

    piece: str
    """SHA-256 of its file."""
    similarity: float
    """Share of the sample's notes that stand in it, 0–1."""


class OriginalityInfo(_Strict):
    """What is known of a sample's originality."""

    unknown: str | None = None
    """Why nothing is known: the dataset is not in the lake, or has no index. None where it was checked."""
    copied: Copy | None = None
    """The longest span that stands in the training pieces and is no commonplace."""
    commonplace: Copy | None = None
    """A longer span that is in much music: a scale, a broken chord."""
    nearest: tuple[NearPiece, ...] = ()
    refused_seeds: tuple[int, ...] = ()
    """Seeds whose pieces were refused for their copies before this one."""


class CopyCheck:
    """The check of pieces against the training pieces of the model that composed them."""

    def __init__(self, index: OriginalityIndex | None, reason: str) -> None:
        self.index = index
        self.reason = reason
        """Why there is no index."""

    @classmethod
    def of(cls, lake: Lake, dataset: str, refuse_copies: int | None) -> Self:
        """Open the index of a model's dataset. Raises UserError if copies are to be refused and there is none."""
        check = cls(*find_index(lake, dataset))
        if check.index is None and refuse_copies is not None:
            raise UserError(f"copies cannot be refused, since the originality is unknown: {check.reason}")
        return check

    def of_piece(self, piece: Piece) -> OriginalityInfo:
        """Check a piece."""
        if self.index is None:
            return OriginalityInfo(unknown=self.reason)
        found = self.index.check(piece.notes)
        return OriginalityInfo(
            copied=found.copy,
            commonplace=found.commonplace,
            nearest=tuple(NearPiece(piece=sha256, similarity=share) for sha256, share in found.nearest),
        )


def compose_original(
    compose: Callable[[PieceRequest], Piece],
    request: PieceRequest,
    check: CopyCheck,
    refuse_copies: int | None,
    step: int,
) -> tuple[Piece, OriginalityInfo]:
    """Compose a piece and check it; draw again, every time `step` seeds on, while a copy of it is refused.

    `refuse_copies`: notes from which on a copy is refused; None: none is. Raises RunError after TRIES draws.
    """
    refused: list[int] = []
    shortest: int | None = None
    while len(refused) < TRIES:
        seed = request.seed + step * len(refused)
        piece = compose(request if not refused else request.model_copy(update={"seed": seed}))
        about = check.of_piece(piece)
        copied = 0 if about.copied is None else about.copied.notes
        if refuse_copies is None or copied < refuse_copies:
            return piece, about.model_copy(update={"refused_seeds": tuple(refused)})
        refused.append(seed)
        shortest = copied if shortest is None else min(shortest, copied)
    raise RunError(
        f"all of {TRIES} draws for seed {request.seed} have a copy of {refuse_copies} notes or more, the shortest of "
        f"{shortest}: allow longer copies, or choose another seed or a higher temperature"
    )
