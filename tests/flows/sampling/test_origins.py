"""The openings of samples: the metadata name them, and a training piece is called one."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.sampling.export import export
from flows.sampling.metadata import read_metadata
from flows.sampling.origins import OpeningInfo, Origin, opening_lines
from infra.errors import UserError
from registry.openings import Opening
from registry.piece import Piece

HELD_OUT, TRAINED_ON = (Opening("bach/bwv1", split, "ab" * 32, "bach", 90, 20.0) for split in ("test", "train"))


def test_a_training_piece_is_said_to_be_one() -> None:
    (line,) = opening_lines(TRAINED_ON, None)
    assert line.startswith("bach/bwv1 is one of the pieces that the model was trained on")
    assert opening_lines(HELD_OUT, 16) == opening_lines(None, 16) == []


def test_behind_a_training_piece_copies_cannot_be_refused() -> None:
    with pytest.raises(UserError, match="copies cannot be refused behind bach/bwv1, which is itself a training piece"):
        opening_lines(TRAINED_ON, 16)


def test_the_metadata_name_piece_and_split(piece: Piece, tmp_path: Path) -> None:
    about = read_metadata(Path(export(piece, tmp_path, origin=Origin(OpeningInfo.of(TRAINED_ON))).metadata)).opening
    assert about is not None
    assert (about.name, about.piece, about.split) == ("bach/bwv1", "ab" * 32, "train")
