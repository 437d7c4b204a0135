"""The originality of samples: copies are reported, refused and drawn again, and what cannot be known is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flows.sampling.export import copied_notes, export
from flows.sampling.metadata import read_metadata
from flows.sampling.originality import CopyCheck, OriginalityInfo, compose_original
from infra.errors import RunError, UserError
from infra.lake import Lake
from registry.piece import Piece
from registry.requests import PieceRequest
from tokenization.midi.notes import Notes
from tokenization.originality import OriginalityIndex, write_index

TUNE = "ab" * 32


def tune(seed: int, count: int = 80) -> Notes:
    """A melody of wandering intervals and uneven times."""
    generator = np.random.default_rng(seed)
    pitch = 50 + np.abs(np.cumsum(generator.integers(-5, 6, count)) % 48 - 24)
    length = generator.choice([0.25, 0.5, 0.5, 0.75, 1.0], count)
    onset = np.concatenate([[0], np.cumsum(length)[:-1]])
    return Notes.from_columns(onset, length * 0.9, pitch, [80] * count, [0] * count, [False] * count)


@pytest.fixture(scope="module")
def check(piece: Piece, tmp_path_factory: pytest.TempPathFactory) -> CopyCheck:
    """Against one training piece, `tune(1)`."""
    folder = tmp_path_factory.mktemp("originality")
    write_index(folder / "00000.index", [(TUNE, TUNE, piece.encoding.quantised(tune(1)))])
    return CopyCheck(OriginalityIndex.open(folder), "")


def playing(piece: Piece, notes: Notes, seed: int = 0) -> Piece:
    """A piece that consists of some notes."""
    request = piece.request.model_copy(update={"seed": seed})
    return replace(piece, request=request, tokens=piece.encoding.encode(notes))


class TestTheCheck:
    def test_names_the_piece_that_is_copied(self, check: CopyCheck, piece: Piece, tmp_path: Path) -> None:
        copy = playing(piece, tune(1))
        about = check.of_piece(copy)
        assert about.copied is not None
        assert (about.copied.piece, about.copied.notes, about.copied.transposition) == (TUNE, 80, 0)
        assert about.nearest[0].piece == TUNE
        assert about.nearest[0].similarity == pytest.approx(1)
        written = export(copy, tmp_path, originality=about)
        assert written.copied_notes == 80
        assert read_metadata(Path(written.metadata)).originality == about, "as it was, from JSON"

    def test_finds_nothing_in_another_piece(self, check: CopyCheck, piece: Piece) -> None:
        about = check.of_piece(playing(piece, tune(2)))
        assert (about.copied, about.unknown, copied_notes(about)) == (None, None, 0)

    def test_says_why_nothing_is_known(self, piece: Piece, tmp_path: Path) -> None:
        nowhere = CopyCheck.of(Lake(tmp_path), "songs@abc", None)
        about = nowhere.of_piece(piece)
        assert about.unknown is not None
        assert about.unknown.startswith("no dataset 'songs'")
        assert copied_notes(about) is None
        with pytest.raises(UserError, match="copies cannot be refused, since the originality is unknown: no dataset"):
            CopyCheck.of(Lake(tmp_path), "songs@abc", 16)


class TestRefusing:
    def drawn(self, check: CopyCheck, piece: Piece, copies: int, refuse: int | None) -> tuple[Piece, OriginalityInfo]:
        """Draw pieces from seed 5 on, every second seed, of which the first so many are copies."""

        def compose(request: PieceRequest) -> Piece:
            return playing(piece, tune(1 if request.seed < 5 + 2 * copies else 2), request.seed)

        return compose_original(compose, PieceRequest(seed=5), check, refuse, step=2)

    def test_draws_again_with_further_seeds_until_a_piece_has_no_copy(self, check: CopyCheck, piece: Piece) -> None:
        found, about = self.drawn(check, piece, copies=3, refuse=16)
        assert (found.request.seed, about.refused_seeds, about.copied) == (11, (5, 7, 9), None)

    def test_is_only_done_if_asked_and_of_copies_so_long(self, check: CopyCheck, piece: Piece) -> None:
        for refuse in (None, 81):
            found, about = self.drawn(check, piece, copies=99, refuse=refuse)
            assert (found.request.seed, about.refused_seeds) == (5, ())
            assert copied_notes(about) == 80

    def test_gives_up_after_eight_draws(self, check: CopyCheck, piece: Piece) -> None:
        with pytest.raises(
            RunError, match="all of 8 draws for seed 5 have a copy of 16 notes or more, the shortest of 80"
        ):
            self.drawn(check, piece, copies=99, refuse=16)
