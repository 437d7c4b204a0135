"""Samples as `musenet sample` writes them, as far as the studio reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from registry.composer import Composer
from registry.piece import Piece


def write_sample(composer: Composer, folder: Path, **options: Any) -> Piece:
    """Compose a piece, and write its tokens and metadata."""
    piece = composer.compose(**options)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{piece.name}.txt").write_text(piece.text + "\n")
    about = {
        "format": 2,
        "request": piece.request.model_dump(mode="json"),
        "candidate": piece.candidate,
        "score": piece.score,
        "score_curve": piece.score_curve,
        "notes": len(piece.notes),
        "seconds": piece.seconds,
    }
    (folder / f"{piece.name}.json").write_text(json.dumps(about))
    return piece
