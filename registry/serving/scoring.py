"""Scoring: what a model and its critic say of any piece."""

from __future__ import annotations

import numpy as np

from infra.errors import UserError
from registry.composer import Composer
from registry.piece import Piece
from registry.requests import PieceRequest
from registry.serving.answers import ScoreAnswer
from tokenization.encodings import HEADER
from tokenization.vocabulary import Tokens


def score(composer: Composer, tokens: Tokens) -> ScoreAnswer:
    """Return the critic's judgement of a piece, and its likelihood; `tokens`: header and music without `end`.

    Raises UserError for a piece without a note.
    """
    from modeling.generation import merits

    whole = np.append(tokens, np.uint16(composer.encoding.vocabulary.end))
    bundle = composer.bundle
    (merit,) = merits(bundle, [whole], [len(whole)], HEADER, "likelihood")
    about = PieceRequest(), None, composer.identity, composer.encoding
    piece = Piece(*about, whole, merit.score, 0, composer.device, curve=merit.curve)
    notes = len(piece.notes)
    if not notes:
        raise UserError("the piece has no note")
    nats = -(merit.likelihood or 0.0)
    return ScoreAnswer(
        score=merit.score,
        curve=piece.score_curve,
        nats_per_token=nats,
        nats_per_note=nats * (len(whole) - HEADER) / notes,
        tokens=len(whole),
        notes=notes,
        seconds=round(piece.seconds, 4),
    )
