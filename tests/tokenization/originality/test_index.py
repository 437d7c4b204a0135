"""Copies that an index finds in samples, whatever was done to them, and commonplaces that are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tokenization.encodings import Encoding, get_encoding
from tokenization.midi.notes import Notes
from tokenization.originality import IndexFileError, OriginalityIndex, write_index
from tokenization.vocabulary import Vocabulary

VIOLIN, PIANO = 40, 0


def tune(seed: int, count: int = 80, program: int = VIOLIN) -> Notes:
    """A melody of wandering intervals and uneven times, one note after the other."""
    generator = np.random.default_rng(seed)
    pitch = 50 + np.abs(np.cumsum(generator.integers(-5, 6, count)) % 48 - 24)
    length = generator.choice([0.25, 0.5, 0.5, 0.75, 1.0], count)
    onset = np.concatenate([[0], np.cumsum(length)[:-1]])
    return Notes.from_columns(onset, length * 0.9, pitch, np.full(count, 80), np.full(count, program), np.zeros(count))


def part_of(notes: Notes, begin: int, end: int, semitones: int = 0, stretch: float = 1.0, at: float = 0.0) -> Notes:
    onset = (notes.onset[begin:end] - notes.onset[begin]) * stretch + at
    pitch = notes.pitch[begin:end].astype(int) + semitones
    rest = (notes.velocity[begin:end], notes.program[begin:end], notes.drum[begin:end])
    return Notes.from_columns(onset, notes.duration[begin:end] * stretch, pitch, *rest)


def together(*pieces: Notes) -> Notes:
    names = ("onset", "duration", "pitch", "velocity", "program", "drum")
    return Notes.from_columns(*(np.concatenate([getattr(piece, name) for piece in pieces]) for name in names))


@pytest.fixture(scope="module")
def encoding() -> Encoding:
    return get_encoding("combined", Vocabulary.load("musenet"), "seconds")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, encoding: Encoding) -> OriginalityIndex:
    """Two shards of ten tunes; the family of a tune is the tune."""
    folder = tmp_path_factory.mktemp("originality")
    for shard in range(2):
        rows = [(f"{n:064x}", f"{n:064x}", encoding.quantised(tune(n))) for n in range(10 * shard, 10 * shard + 10)]
        write_index(folder / f"{shard:05d}.index", rows)
    return OriginalityIndex.open(folder)


class TestACopy:
    @pytest.mark.parametrize("semitones", [-7, 0, 5])
    @pytest.mark.parametrize("stretch", [0.75, 1.0, 1.3])
    def test_is_found_in_any_key_and_at_any_tempo(
        self, index: OriginalityIndex, encoding: Encoding, semitones: int, stretch: float
    ) -> None:
        copied = part_of(tune(13), 20, 60, semitones, stretch, at=30.0)
        sample = encoding.quantised(together(part_of(tune(100), 0, 40), copied))
        copy = index.check(sample).copy
        assert copy is not None
        assert (copy.piece, copy.notes, copy.transposition) == (f"{13:064x}", 40, semitones)
        assert copy.at == pytest.approx(30.0, abs=0.02)
        assert copy.piece_at == pytest.approx(tune(13).onset[20], rel=0.01)
        assert copy.tempo == pytest.approx(stretch, rel=0.01)

    def test_is_found_above_other_notes_of_its_instrument(self, index: OriginalityIndex, encoding: Encoding) -> None:
        melody = replace(part_of(tune(4), 10, 50), program=np.full(40, PIANO, np.uint8))
        beats = np.arange(0, melody.onset[-1], 0.5)
        count = len(beats)
        bass = Notes.from_columns(
            beats,
            np.full(count, 0.4),
            30 + np.arange(count) % 5,
            *np.full((2, count), 60) * [[1], [0]],
            np.zeros(count),
        )
        copy = index.check(encoding.quantised(together(melody, bass))).copy
        assert copy is not None and copy.piece == f"{4:064x}"

    def test_does_not_count_in_a_family_that_is_left_out(self, index: OriginalityIndex, encoding: Encoding) -> None:
        sample = encoding.quantised(tune(7))
        assert index.check(sample).copied_notes == 80
        assert index.check(sample, frozenset({f"{7:064x}"})).copy is None

    def test_of_other_times_is_none(self, index: OriginalityIndex, encoding: Encoding) -> None:
        even = replace(tune(7), onset=np.arange(80) * 0.5, duration=np.full(80, 0.4))
        assert index.check(encoding.quantised(even)).copied_notes < 16


class TestNoCopy:
    def test_a_new_tune_is_original(self, index: OriginalityIndex, encoding: Encoding) -> None:
        result = index.check(encoding.quantised(tune(100)))
        assert result.copy is None and result.copied_notes == 0

    def test_a_scale_is_none(self, tmp_path: Path, encoding: Encoding) -> None:
        steps = np.cumsum([0, *[2, 2, 1, 2, 2, 2, 1] * 4])
        n = len(steps)
        scale = Notes.from_columns(
            np.arange(n) / 4, np.full(n, 0.2), 40 + steps, np.full(n, 80), np.zeros(n), np.zeros(n)
        )
        write_index(tmp_path / "00000.index", [("0" * 64, "0" * 64, encoding.quantised(scale))])
        assert OriginalityIndex.open(tmp_path).check(encoding.quantised(scale)).copy is None

    def test_drums_alone_and_no_notes_have_no_lines(self, index: OriginalityIndex) -> None:
        drums = replace(tune(3), drum=np.ones(80, np.bool_))
        assert index.check(drums).copy is None and index.check(drums).nearest == ()
        assert index.check(part_of(drums, 0, 0 + 1)).commonplace is None


class TestNearest:
    def test_the_share_of_a_sample_in_each_piece(self, index: OriginalityIndex, encoding: Encoding) -> None:
        first, second = part_of(tune(2), 0, 60), part_of(tune(15), 0, 20, at=60.0)
        (most, share), (less, rest) = index.check(encoding.quantised(together(first, second))).nearest[:2]
        assert (most, less) == (f"{2:064x}", f"{15:064x}")
        assert share == pytest.approx(0.75, abs=0.02) and rest == pytest.approx(0.25, abs=0.02)


class TestFiles:
    def test_equal_pieces_give_equal_bytes(self, tmp_path: Path, encoding: Encoding) -> None:
        for name in ("a", "b"):
            write_index(tmp_path / name, [("1" * 64, "1" * 64, encoding.quantised(tune(1)))])
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_one_without_pieces_is_read(self, tmp_path: Path, encoding: Encoding) -> None:
        write_index(tmp_path / "00000.index", [])
        assert OriginalityIndex.open(tmp_path).check(encoding.quantised(tune(1))).copy is None

    def test_an_empty_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(IndexFileError, match="holds no originality index"):
            OriginalityIndex.open(tmp_path)

    @pytest.mark.parametrize("place", [0, 4, 100, -1])
    def test_a_changed_byte_is_noticed(self, tmp_path: Path, encoding: Encoding, place: int) -> None:
        path = tmp_path / "00000.index"
        write_index(path, [("1" * 64, "1" * 64, encoding.quantised(tune(1)))])
        data = bytearray(path.read_bytes())
        data[place] ^= 1
        path.write_bytes(data)
        with pytest.raises(IndexFileError, match=str(path)):
            OriginalityIndex.open(tmp_path)

    def test_a_cut_one_is_noticed(self, tmp_path: Path, encoding: Encoding) -> None:
        path = tmp_path / "00000.index"
        write_index(path, [("1" * 64, "1" * 64, encoding.quantised(tune(1)))])
        path.write_bytes(path.read_bytes()[:-8])
        with pytest.raises(IndexFileError, match="damaged"):
            OriginalityIndex.open(tmp_path)
