"""Identities: of the pieces as they are in the shards, each once, and over generations."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tokenization import fingerprint
from tokenization.dataset import Description, Row, TokenFormat, open_version, write_description, write_shard
from tokenization.dataset.encoding_files import write_vocabulary
from tokenization.encodings.combined import Combined
from tokenization.identities import ABOUT, Identities, IdentitiesError
from tokenization.midi.notes import Notes


def tune(seed: int, notes: int = 120) -> Notes:
    pitch = np.random.default_rng(seed).integers(48, 84, notes)
    return Notes.from_columns(np.arange(notes) / 4, np.full(notes, 0.2), pitch, [80] * notes, [0] * notes, [0] * notes)


def sha(seed: int) -> str:
    return hashlib.sha256(bytes([seed])).hexdigest()


@pytest.fixture(scope="module")
def version(tmp_path_factory, encoding: Combined, make_description: Callable[..., Description]) -> Path:
    """Two training pieces, one of them in two variants, and one held out."""
    folder = tmp_path_factory.mktemp("version")

    def row(seed: int, transpose: int = 0) -> Row:
        notes = tune(seed)
        moved = Notes.from_columns(
            notes.onset, notes.duration, notes.pitch + transpose, notes.velocity, notes.program, notes.drum
        )
        return Row(sha(seed), sha(seed), "bach", "piano", encoding.encode(moved, "bach"), transpose)

    shards = {}
    for path, rows in (("train/0.parquet", [row(2), row(2, 3), row(1)]), ("validation/0.parquet", [row(3)])):
        (folder / path).parent.mkdir()
        shards[path] = write_shard(folder / path, rows, TokenFormat.of(encoding))
    write_vocabulary(folder, encoding.vocabulary)
    write_description(folder, make_description(encoding, shards=shards))
    return folder


def test_a_piece_is_known_by_its_file_and_by_the_music_of_its_tokens(version: Path, encoding: Combined) -> None:
    found = Identities.of(open_version(version), "train")
    assert [each.hex() for each in found.table["sha256"]] == sorted([sha(1), sha(2)])
    prints = dict(zip((each.hex() for each in found.table["sha256"]), found.table["fingerprint"]))
    heard = fingerprint.fingerprint(encoding.quantised(tune(2)))
    assert prints[sha(2)] == heard.tobytes(), "not that of a variant"
    assert found.complete


def test_they_come_back_from_their_file_which_is_always_the_same(version: Path, tmp_path: Path) -> None:
    found = Identities.of(open_version(version), "train", "validation")
    for name in ("a", "b"):
        found.write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    read = Identities.read(tmp_path / "a")
    assert read.table.equals(found.table) and read.complete and len(read) == 3


def test_generations_add_up(version: Path) -> None:
    opened = open_version(version)
    own, others = Identities.of(opened, "train"), Identities.of(opened, "validation")
    both = own.with_those_of(others)
    assert both.table.equals(Identities.of(opened, "train", "validation").table)
    assert both.with_those_of(own).table.equals(both.table), "each piece once"
    unknown = own.with_those_of(Identities.unknown())
    assert (len(unknown), unknown.complete) == (2, False)
    assert not others.with_those_of(unknown).complete, "what was not known is not known later"


def test_fingerprints_of_another_version_are_not_compared(version: Path, tmp_path: Path, monkeypatch) -> None:
    own = Identities.of(open_version(version), "train")
    own.write(tmp_path / "old")
    monkeypatch.setattr(fingerprint, "VERSION", fingerprint.VERSION + 1)
    old = Identities.read(tmp_path / "old")
    assert old.table["fingerprint"].null_count() == 2 and not old.complete
    assert old.with_those_of(own).table["fingerprint"].null_count() == 0, "the same pieces, heard anew"


def test_another_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no table")
    pl.DataFrame({"sha256": [b""]}).write_parquet(tmp_path / "plain")
    pl.DataFrame({"sha256": [b""]}).write_parquet(tmp_path / "later", metadata={ABOUT: '{"format": 9}'})
    for name in ("text", "plain", "later", "missing"):
        with pytest.raises(IdentitiesError, match=name) as error:
            Identities.read(tmp_path / name)
        assert "\n" not in str(error.value)
