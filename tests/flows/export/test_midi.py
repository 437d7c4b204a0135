"""Exported MIDI files: a file for each piece, found through the index."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from flows.export import export_midi
from tokenization.dataset import DatasetVersion
from tokenization.dataset.manifest import Status
from tokenization.midi import read_midi


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, version: DatasetVersion) -> Path:
    target = tmp_path_factory.mktemp("exported") / "songs"
    steps: list[tuple[int, int]] = []
    done = export_midi(version, target, lambda *step: steps.append(step))
    assert done.rows == 24
    assert steps == [(number, 24) for number in range(1, 25)]
    return target


def test_the_index_has_every_piece_once_with_its_source(folder: Path, version: DatasetVersion) -> None:
    index = pl.read_csv(folder / "index.csv")
    accepted = version.manifest.filter(pl.col("status") == Status.ACCEPTED)
    columns = ["collection", "path", "licence", "split", "family"]
    assert index.sort("piece_id").select(columns).rows() == accepted.sort("sha256").select(columns).rows()
    assert sorted(index["file"]) == sorted(str(path.relative_to(folder)) for path in folder.rglob("*.mid"))


def test_a_file_has_the_notes_of_its_piece(folder: Path) -> None:
    for file, notes in pl.read_csv(folder / "index.csv").select("file", "notes").iter_rows():
        assert len(read_midi((folder / file).read_bytes())) == notes


def test_styles_that_are_no_names_stay_inside_the_folder(folder: Path) -> None:
    assert {path.parent.name for path in folder.rglob("*.mid")} == {"bach", "drum_bass_x", "ours", "theirs"}
    assert {path.relative_to(folder).parts[0] for path in folder.rglob("*.mid")} == {"midi"}
