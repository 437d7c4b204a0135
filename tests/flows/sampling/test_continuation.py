"""Going on from a sample: as it would have gone on, or in another way from any place."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from flows.sampling.continuation import go_on_from
from flows.sampling.export import export
from flows.sampling.metadata import read_metadata
from flows.sampling.origins import Origin
from flows.sampling.parameters import SampleParameters
from infra.errors import UserError
from registry.composer import Composer
from registry.piece import Piece


@pytest.fixture
def sample(piece: Piece, tmp_path: Path) -> Path:
    return Path(export(piece, tmp_path).metadata)


def parameters(sample: Path, **given: object) -> SampleParameters:
    return SampleParameters(lake=str(sample.parent), source=sample, **given)  # type: ignore[arg-type]


def test_with_the_same_settings_it_is_the_same_piece(sample: Path, piece: Piece, composer: Composer) -> None:
    further = go_on_from(sample, composer, parameters(sample, at=piece.seconds / 2))
    assert 4 < further.parent.at < len(piece.tokens) - 1
    again = composer.answer(further.request, further.prompt)
    assert again.tokens.tolist() == piece.tokens.tolist()
    assert again.digest != piece.digest, "another request: it begins with these tokens"


def test_with_another_seed_it_branches(sample: Path, piece: Piece, composer: Composer) -> None:
    further = go_on_from(sample, composer, parameters(sample, at=piece.seconds / 2, seed=99))
    assert (further.request.style, further.request.seed, further.request.best_of) == ("bach", 99, 2)
    branch = composer.answer(further.request, further.prompt)
    kept = further.parent.at
    assert branch.tokens[:kept].tolist() == piece.tokens[:kept].tolist()
    assert branch.tokens.tolist() != piece.tokens.tolist()
    before = encoded_before(piece, piece.seconds / 2)
    assert set(before) <= set(zip(branch.notes.onset.tolist(), branch.notes.pitch.tolist()))


def encoded_before(piece: Piece, seconds: float) -> list[tuple[float, int]]:
    notes = piece.notes
    return [(o, p) for o, p in zip(notes.onset.tolist(), notes.pitch.tolist()) if o < seconds]


def test_all_of_it_is_kept_by_a_longer_one(sample: Path, piece: Piece, composer: Composer) -> None:
    further = go_on_from(sample, composer, parameters(sample, length=120))
    longer = composer.answer(further.request, further.prompt)
    whole = piece.tokens.tolist()[:-1]
    assert longer.tokens.tolist()[: len(whole)] == whole
    assert len(longer.notes) > len(piece.notes)


def test_the_metadata_name_the_parent(sample: Path, piece: Piece, composer: Composer, tmp_path: Path) -> None:
    further = go_on_from(sample, composer, parameters(sample, at=0.5, seed=3))
    branch = composer.answer(further.request, further.prompt)
    file = Path(export(branch, tmp_path / "further", origin=Origin(parent=further.parent)).metadata)
    about = read_metadata(file)
    assert about.parent is not None
    assert (about.parent.name, about.parent.digest, about.parent.at) == (sample.name, piece.digest, further.parent.at)
    assert about.prompt is not None
    assert (file.parent / about.prompt.name).read_text().split() == piece.text.split()[: further.parent.at]


def test_a_part_of_it_is_composed_anew(sample: Path, piece: Piece, composer: Composer) -> None:
    further = go_on_from(sample, composer, parameters(sample, infill=f"{piece.seconds / 2:.2f}s-"))
    assert (further.request.length, further.request.instruments, further.request.best_of) == (None, (), 2)
    changed = composer.answer(further.request, further.prompt)
    before = encoded_before(piece, piece.seconds / 2 - 0.1)
    assert set(before) <= set(zip(changed.notes.onset.tolist(), changed.notes.pitch.tolist()))
    assert changed.notes.seconds <= piece.notes.seconds + 1e-9


class TestRefused:
    def test_is_a_place_behind_the_end(self, sample: Path, composer: Composer) -> None:
        with pytest.raises(UserError, match=r"lasts \d+\.\d s: it cannot be left at 1000 s"):
            go_on_from(sample, composer, parameters(sample, at=1000))

    def test_is_a_text_that_has_changed_or_is_gone(self, sample: Path, composer: Composer) -> None:
        text = sample.with_suffix(".txt")
        text.write_text("bach piano start tempo120")
        with pytest.raises(UserError, match="has changed since it was written; continue it as --prompt"):
            go_on_from(sample, composer, parameters(sample))
        text.unlink()
        with pytest.raises(UserError, match="cannot be read: No such file or directory; `musenet sample --again`"):
            go_on_from(sample, composer, parameters(sample))

    def test_are_parameters_that_exclude_each_other(self, sample: Path) -> None:
        with pytest.raises(ValidationError, match="a prompt or opening and a sample to go on from exclude each other"):
            parameters(sample, opening="bach/a")
        with pytest.raises(ValidationError, match="at = 3 is of no use without a sample"):
            SampleParameters(lake=str(sample.parent), at=3)
