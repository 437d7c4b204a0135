"""Samples that were composed beforehand are read from the files of `musenet sample`."""

from __future__ import annotations

from pathlib import Path

from registry.composer import Composer
from registry.studio.samples import find_sample, list_samples
from tests.registry.studio.sample_files import write_sample


def test_samples_are_listed_by_style_and_seed(composer: Composer, tmp_path: Path) -> None:
    for style, seed in (("jazz", 0), ("bach", 1), ("bach", 0)):
        write_sample(composer, tmp_path, style=style, seed=seed, length=32, best_of=1, rank="none")
    requests = [sample.about.request for sample in list_samples(tmp_path)]
    assert [(request.style, request.seed) for request in requests] == [("bach", 0), ("bach", 1), ("jazz", 0)]


def test_a_sample_is_the_piece_that_was_composed(composer: Composer, tmp_path: Path) -> None:
    piece = write_sample(composer, tmp_path, style="bach", length=48, best_of=1)
    found = find_sample(tmp_path, piece.name, composer)
    assert found is not None
    assert found.midi == piece.midi
    assert found.digest == piece.digest
    assert found.score == piece.score


def test_files_that_are_no_samples_are_left_out(composer: Composer, tmp_path: Path) -> None:
    (tmp_path / "requests.json").write_text('{"style": ["bach"]}')
    (tmp_path / "broken.json").write_text("{")
    assert list_samples(tmp_path) == []
    assert list_samples(tmp_path / "missing") == []
    piece = write_sample(composer, tmp_path, style="bach", length=32, best_of=1)
    (tmp_path / f"{piece.name}.txt").write_text("no token")
    assert find_sample(tmp_path, piece.name, composer) is None
    assert find_sample(tmp_path, "../secret", composer) is None
