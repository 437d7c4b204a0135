"""Leaks: held-out pieces that a model was trained on, or whose relatives it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flows.warm_start.leaks import find_leaks, leaked_of
from infra.lake import Lake
from tokenization.dataset import TEST, TRAIN, VALIDATION, DatasetVersion
from tokenization.fingerprint import fingerprint
from tokenization.identities import SCHEMA, Identities
from tokenization.midi import Notes, read_midi, write_midi

Ingester = Callable[..., DatasetVersion]


def tune(seed: int, notes: int = 160, transpose: int = 0, stretch: float = 1.0, begin: int = 0) -> Notes:
    """A tune that wanders in quavers and crotchets, or a part of it in another key and at another tempo."""
    random = np.random.default_rng(seed)
    onset = np.cumsum(random.choice([0.25, 0.25, 0.5], notes)) * stretch
    pitch = 62 + np.abs(np.cumsum(random.choice([-5, -3, -2, -1, 1, 2, 4, 7], notes)) % 40 - 20) + transpose
    onset, pitch = onset[begin:] - onset[begin], pitch[begin:]
    count = len(onset)
    return Notes.from_columns(onset, np.full(count, 0.2), pitch, [80] * count, [0] * count, [False] * count)


def identities(*pieces: tuple[int, Notes]) -> Identities:
    prints = [fingerprint(notes).tobytes() for _, notes in pieces]
    names = [bytes([number]) * 32 for number, _ in pieces]
    return Identities(pl.DataFrame({"sha256": names, "fingerprint": prints}, schema=SCHEMA))


def name(number: int) -> str:
    return (bytes([number]) * 32).hex()


KNOWN = identities(*((seed, tune(seed)) for seed in range(20)))


@pytest.mark.parametrize(
    ("number", "piece", "leaks"),
    [
        (3, tune(103), True),
        (50, tune(3), True),
        (50, tune(3, transpose=5, stretch=1.2), True),
        (50, tune(3, begin=70), True),
        (50, tune(103), False),
    ],
    ids=["the same file", "the same notes", "another key and tempo", "an excerpt", "another tune"],
)
def test_a_piece_leaks_by_its_file_and_by_its_music(number: int, piece: Notes, leaks: bool) -> None:
    assert leaked_of(KNOWN, identities((number, piece))) == ({name(number)} if leaks else set())


def test_each_piece_is_judged_by_itself() -> None:
    held_out = identities((50, tune(103)), (51, tune(7, transpose=-2)), (52, tune(104)))
    assert leaked_of(KNOWN, held_out) == {name(51)}
    assert leaked_of(identities((60, tune(103))), held_out) == {name(50)}


def test_relatives_among_the_held_out_pieces_do_not_leak() -> None:
    held_out = identities((50, tune(103)), (51, tune(103, transpose=3)))
    assert leaked_of(KNOWN, held_out) == set()


def test_of_no_pieces_nothing_leaks() -> None:
    none = Identities(pl.DataFrame(schema=SCHEMA))
    assert leaked_of(KNOWN, none) == leaked_of(none, KNOWN) == set()


def test_pieces_without_a_fingerprint_leak_by_their_file_alone() -> None:
    bare = Identities(KNOWN.table.with_columns(pl.lit(None, pl.Binary).alias("fingerprint")), complete=False)
    held_out = identities((3, tune(3)), (50, tune(3)))
    assert leaked_of(bare, held_out) == {name(3)}


def test_of_a_dataset_all_held_out_pieces_are_looked_at(studio) -> None:
    _, dataset, _ = studio
    own = Identities.of(dataset, TRAIN)
    clean = find_leaks(own, dataset)
    assert (clean.validation.leaked, clean.test.leaked, clean.line) == ((), (), ""), "no family crosses a split"
    assert clean.validation.pieces == dataset.description.pieces[VALIDATION]
    all_known = find_leaks(Identities.of(dataset, TRAIN, VALIDATION), dataset)
    assert len(all_known.validation.leaked) == all_known.validation.pieces
    assert all_known.test.leaked == () and all_known.test.pieces == dataset.description.pieces[TEST]
    assert not find_leaks(Identities.unknown(), dataset).complete


def test_another_dataset_with_the_same_music_in_other_files(
    tmp_path: Path, studio, ingest: Ingester, song: Callable[..., bytes]
) -> None:
    """Half of the pieces that `songs` trains on come again, as other files."""
    _, dataset, _ = studio
    folder = tmp_path / "mine" / "polka"
    folder.mkdir(parents=True)
    for seed in range(6):
        notes = read_midi(song(seed))
        louder = Notes.from_columns(
            notes.onset, notes.duration, notes.pitch, notes.velocity + 20, notes.program, notes.drum
        )
        (folder / f"{seed}.mid").write_bytes(write_midi(louder))
    version = ingest(Lake(tmp_path / "lake"), "mine", folder.parent, splits={"validation": 0.4, "test": 0.3})
    trained = set(dataset.manifest.filter(split=TRAIN)["path"].str.split("/").list.last())
    leaks = find_leaks(Identities.of(dataset, TRAIN), version)
    held_out = version.manifest.filter(pl.col("split").is_in([VALIDATION, TEST]))
    expected = {sha for sha, path in held_out.select("sha256", "path").iter_rows() if f"0{path[-5:]}" in trained}
    assert {*leaks.validation.leaked, *leaks.test.leaked} == expected
