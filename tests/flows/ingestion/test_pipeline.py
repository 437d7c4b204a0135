"""The steps of ingestion together: every file is in the manifest with its fate, duplicates follow what is kept."""

from __future__ import annotations

import io
import os
from dataclasses import asdict
from pathlib import Path

import mido
import pytest
from pydantic import ValidationError

from flows.ingestion.manifest import Entry
from flows.ingestion.parsing import Limits
from flows.ingestion.pipeline import IngestParameters, Sorted, parse_stock, sort_out, take_stock
from flows.ingestion.sources import Collection
from flows.ingestion.splits import SplitShares, split_of
from flows.settings import Lake


def ingested(*folders: Path, **settings: object) -> Sorted:
    collections = [Collection(name=folder.name, path=folder, licence="CC0") for folder in folders]
    parameters = IngestParameters(collections=collections, name="songs", workers=1, **settings)
    stock = take_stock(parameters, lambda *_: None)
    return sort_out(parameters, stock, *parse_stock(parameters, stock, lambda *_: None))


def by_path(sorted_out: Sorted) -> dict[str, Entry]:
    return {entry.path: entry for entry in sorted_out.entries}


def fates(sorted_out: Sorted) -> dict[str, str]:
    return {path: str(entry.reason or entry.status) for path, entry in by_path(sorted_out).items()}


def retitled(data: bytes, title: str, reverse_tracks: bool = False) -> bytes:
    """The same music in other bytes: another title and, if asked for, the tracks in another order."""
    midi = mido.MidiFile(file=io.BytesIO(data))
    first, *others = midi.tracks
    first.insert(0, mido.MetaMessage("track_name", name=title))
    midi.tracks = [first, *(reversed(others) if reverse_tracks else others)]
    out = io.BytesIO()
    midi.save(file=out)
    return out.getvalue()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, song, midi_fixtures: Path) -> Path:
    """Good, broken, empty and equal files, in the order of their names."""
    folder = tmp_path_factory.mktemp("home") / "mixed"
    files = {
        "a/good.mid": song(1),
        "a/other.mid": song(2),
        "b/copy_of_good.mid": song(1),
        "b/empty.mid": b"",
        "b/page.mid": (midi_fixtures / "html_404.mid").read_bytes(),
        "b/second_page.mid": (midi_fixtures / "html_404.mid").read_bytes(),
        "b/short.mid": song(3, notes=15),
        "b/silent.mid": (midi_fixtures / "only_header.mid").read_bytes(),
        "b/truncated.mid": (midi_fixtures / "truncated_in_track.mid").read_bytes(),
        "c/good_retitled.mid": retitled(song(1), "Another title"),
        "c/good_retitled_copy.mid": retitled(song(1), "Another title"),
    }
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def result(mixed: Path) -> Sorted:
    return ingested(mixed)


class TestMixedFiles:
    def test_every_file_has_its_fate(self, result: Sorted) -> None:
        assert fates(result) == {
            "a/good.mid": "accepted",
            "a/other.mid": "accepted",
            "b/copy_of_good.mid": "same_bytes",
            "b/empty.mid": "not_midi",
            "b/page.mid": "not_midi",
            "b/second_page.mid": "not_midi",
            "b/short.mid": "too_short",
            "b/silent.mid": "no_notes",
            "b/truncated.mid": "truncated",
            "c/good_retitled.mid": "same_notes",
            "c/good_retitled_copy.mid": "same_bytes",
        }

    def test_an_accepted_file_is_its_own_family_with_facts(self, result: Sorted) -> None:
        good = by_path(result)["a/good.mid"]
        assert good.family == good.sha256
        assert good.split == split_of(str(good.sha256), SplitShares())
        assert (good.notes, good.seconds, good.programs, good.drums) == (20, 4.95, (0,), False)
        assert (good.licence, good.collection, good.style, good.detail) == ("CC0", "mixed", "a", None)

    def test_duplicates_name_the_kept_one_and_follow_its_family_and_split(self, result: Sorted) -> None:
        good = by_path(result)["a/good.mid"]
        details = {
            "b/copy_of_good.mid": "mixed/a/good.mid",
            "c/good_retitled.mid": "mixed/a/good.mid",
            "c/good_retitled_copy.mid": "mixed/c/good_retitled.mid",
        }
        for path, detail in details.items():
            entry = by_path(result)[path]
            assert (path, entry.detail) == (path, detail)
            assert (path, entry.family, entry.split) == (path, good.sha256, good.split)

    def test_a_quarantined_file_is_in_no_family_and_no_split(self, result: Sorted) -> None:
        for path in ("b/empty.mid", "b/short.mid", "b/silent.mid"):
            entry = by_path(result)[path]
            assert (entry.family, entry.split, entry.notes) == (None, None, None)
            assert entry.detail

    def test_only_accepted_music_goes_on_with_the_styles_it_has(self, result: Sorted) -> None:
        good, other = by_path(result)["a/good.mid"], by_path(result)["a/other.mid"]
        assert set(result.music) == {good.sha256, other.sha256}
        assert result.encoding.vocabulary.styles == ("a",)
        headers = {result.encoding.vocabulary.to_text(music.tokens[:4]) for music in result.music.values()}
        assert headers == {"a piano start tempo120"}


class TestEqualMusic:
    def fate_of(self, folder: Path, first: bytes, second: bytes) -> dict[str, str]:
        folder.mkdir()
        (folder / "1.mid").write_bytes(first)
        (folder / "2.mid").write_bytes(second)
        return fates(ingested(folder))

    def test_under_another_file_name(self, tmp_path: Path, song) -> None:
        assert self.fate_of(tmp_path / "x", song(1), song(1)) == {"1.mid": "accepted", "2.mid": "same_bytes"}

    def test_with_tracks_in_another_order(self, tmp_path: Path) -> None:
        from tokenization.midi import write_midi
        from tokenization.notes import Notes

        rows = [(i / 4, 0.2, 60 + i % 12, 80, i % 3 * 40, False) for i in range(24)]
        data = write_midi(Notes.from_columns(*zip(*rows)))
        other = retitled(data, "reversed", reverse_tracks=True)
        assert data != other
        assert self.fate_of(tmp_path / "x", data, other) == {"1.mid": "accepted", "2.mid": "same_notes"}

    def test_one_other_note_is_another_piece(self, tmp_path: Path, midi_fixtures: Path, song) -> None:
        assert self.fate_of(tmp_path / "x", song(1, notes=20), song(1, notes=21)) == {
            "1.mid": "accepted",
            "2.mid": "accepted",
        }

    def test_of_two_collections_the_first_named_keeps_it(self, tmp_path: Path, song) -> None:
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "song.mid").write_bytes(song(1))
        found = ingested(tmp_path / "second", tmp_path / "first")
        assert [(entry.collection, str(entry.status)) for entry in found.entries] == [
            ("second", "accepted"),
            ("first", "duplicate"),
        ]
        assert found.encoding.vocabulary.styles == ("second",)


def test_every_fixture_has_a_fate(midi_fixtures: Path) -> None:
    """Seventy odd files, most of them broken in one way: each is named, none ends the ingestion."""
    entries = ingested(midi_fixtures, limits=Limits(min_notes=1, max_notes_per_second=50_000)).entries
    suffixes = (".mid", ".midi", ".kar", ".rmi")
    on_disk = [p for p in midi_fixtures.rglob("*") if p.suffix.lower() in suffixes and p.is_file()]
    assert sorted(entry.path for entry in entries) == sorted(str(p.relative_to(midi_fixtures)) for p in on_disk)
    assert all(entry.sha256 and (entry.reason is None) == (entry.status == "accepted") for entry in entries)
    disguises = [entry for entry in entries if entry.path.startswith("dup_")]
    assert len(disguises) == 5
    assert len({(entry.family, entry.split) for entry in disguises}) == 1


def test_a_file_name_that_is_not_utf_8_is_ingested(tmp_path: Path, song) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.mid")).write_bytes(song(1))
    assert fates(ingested(tmp_path)) == {"caf\\xe9.mid": "accepted"}


class TestStock:
    def key(self, folder: Path, **settings: object) -> str:
        collections = [Collection(name="songs", path=folder, licence="CC0")]
        parameters = IngestParameters(**{"collections": collections, "name": "songs", **settings})
        return take_stock(parameters, lambda *_: None).input_key

    def test_equal_files_and_settings_have_an_equal_key(self, mixed: Path, tmp_path: Path) -> None:
        key = self.key(mixed)
        assert self.key(mixed, workers=1, lake=tmp_path, name="another") == key
        assert self.key(mixed, limits=Limits(min_notes=3)) != key
        assert self.key(mixed, splits=SplitShares(seed=1)) != key

    def test_another_byte_is_another_key(self, tmp_path: Path, song) -> None:
        (tmp_path / "1.mid").write_bytes(song(1))
        key = self.key(tmp_path)
        (tmp_path / "1.mid").write_bytes(song(1) + b"\0")
        assert self.key(tmp_path) != key

    def test_progress_counts_every_file(self, mixed: Path) -> None:
        steps: list[tuple[int, int]] = []
        parameters = IngestParameters(collections=[Collection(name="x", path=mixed)], name="x")
        take_stock(parameters, lambda done, total: steps.append((done, total)))
        assert steps == [(done, 11) for done in range(1, 12)]


class TestParameters:
    @pytest.mark.parametrize("name", ["", "My Set", "../up", "a/b", "-x", "Ä"])
    def test_a_dataset_has_a_plain_name(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ValidationError, match="name"):
            IngestParameters(collections=[Collection(name="x", path=tmp_path)], name=name)

    def test_a_misspelt_setting_is_no_default(self, tmp_path: Path) -> None:
        with pytest.raises(ValidationError, match="min_note"):
            Limits.model_validate({"min_note": 3})

    def test_there_is_a_schema_for_prefects_form(self, tmp_path: Path) -> None:
        assert {"collections", "name", "limits", "splits"} <= IngestParameters.model_json_schema()["properties"].keys()

    def test_content_does_not_depend_on_time_limits_or_workers(self, tmp_path: Path) -> None:
        settings = IngestParameters(collections=[Collection(name="x", path=tmp_path)], name="x").content_settings()
        assert set(settings) == {"limits", "splits"}
        assert set(settings["limits"]) == set(Limits.model_fields) - {"seconds_per_file", "worker_bytes"}


def test_results_are_the_same_for_any_number_of_workers(mixed: Path, result: Sorted) -> None:
    collections = [Collection(name="mixed", path=mixed, licence="CC0")]
    parameters = IngestParameters(collections=collections, name="songs", workers=3, lake=Lake.at().root)
    stock = take_stock(parameters, lambda *_: None)
    again = sort_out(parameters, stock, *parse_stock(parameters, stock, lambda *_: None))
    assert [asdict(entry) for entry in again.entries] == [asdict(entry) for entry in result.entries]
    assert {k: v.tokens.tolist() for k, v in again.music.items()} == {
        k: v.tokens.tolist() for k, v in result.music.items()
    }
