"""Export: MIDI that any program opens, tokens as text, a picture, and where it all came from."""

from __future__ import annotations

import json
from pathlib import Path

import mido
import pytest
from PIL import Image

from flows.sampling.export import export
from flows.sampling.requests import SampleParameters, piece_request, provenance, read_prompt
from infra.errors import UserError
from modeling.generation import Candidate
from tokenization.encodings.combined import Combined
from tokenization.midi import read_midi
from tokenization.vocabulary import Vocabulary

VOCABULARY = Vocabulary.load("musenet", styles=["bach"])
TEXT = (
    "bach piano_strings_drums start tempo120 piano:v72:C4 violin:v80:G4 drums:v80:C2 wait:96 "
    "piano:v0:C4 violin:v0:G4 piano:v72:E4 wait:48 piano:v0:E4 end"
)


def exported(stem: Path, text: str = TEXT):
    candidate = Candidate(VOCABULARY.from_text(text), 0.625, 3)
    return export(candidate, Combined(VOCABULARY), stem, "bach 1", {"model_version": "7", "dataset_digest": "ab" * 16})


class TestFiles:
    def test_midi_with_named_tracks(self, tmp_path: Path) -> None:
        sample = exported(tmp_path / "deep" / "bach-v7-seed0")
        assert sample.midi == str(tmp_path / "deep" / "bach-v7-seed0.mid")
        notes = read_midi(Path(sample.midi).read_bytes())
        assert sorted(zip(notes.pitch.tolist(), notes.onset.tolist())) == [(36, 0.0), (60, 0.0), (64, 1.0), (67, 0.0)]
        names = [track.name for track in mido.MidiFile(sample.midi).tracks]
        assert names == ["bach 1", "piano", "violin", "drums"]
        assert (sample.notes, sample.seconds, sample.score) == (4, 1.5, 0.625)

    def test_text_that_decodes_again(self, tmp_path: Path) -> None:
        assert Path(exported(tmp_path / "piece").text).read_text() == TEXT + "\n"

    def test_a_picture_of_sensible_size(self, tmp_path: Path) -> None:
        with Image.open(exported(tmp_path / "piece").picture) as picture:
            picture.load()
            assert picture.format == "PNG"
            width, height = picture.size
            assert 400 <= height <= 1200
            assert 800 <= width <= 4000
            colours = picture.convert("RGB").getcolors(maxcolors=2**24)
        assert colours is not None
        assert len(colours) > 10, "an empty picture"

    def test_metadata_with_the_chain_back_to_the_data(self, tmp_path: Path) -> None:
        sample = exported(tmp_path / "piece")
        about = json.loads(Path(sample.metadata).read_text())
        assert about["model_version"] == "7"
        assert about["dataset_digest"] == "ab" * 16
        assert (about["score"], about["candidate"], about["tokens"]) == (0.625, 3, len(TEXT.split()))
        assert about["midi"] == sample.midi

    def test_a_dot_in_the_name_is_no_suffix(self, tmp_path: Path) -> None:
        assert exported(tmp_path / "op. 10").midi == str(tmp_path / "op. 10.mid")

    def test_a_piece_without_notes_is_written_too(self, tmp_path: Path) -> None:
        sample = exported(tmp_path / "silence", "bach piano start tempo120 wait:96 end")
        assert (sample.notes, sample.seconds) == (0, 0.0)
        assert Path(sample.midi).read_bytes().startswith(b"MThd")
        assert Path(sample.picture).exists()

    def test_nothing_else_is_left(self, tmp_path: Path) -> None:
        exported(tmp_path / "piece")
        assert sorted(path.name for path in tmp_path.iterdir()) == [f"piece.{s}" for s in ("json", "mid", "png", "txt")]


class TestRequests:
    def test_each_piece_has_its_own_seed(self) -> None:
        parameters = SampleParameters(seed=40, count=2, style="bach", instruments=["piano"])
        assert [piece_request(parameters, number, None).seed for number in range(2)] == [40, 41]
        assert provenance(parameters, "7", "songs@abc", 1)["seed"] == 41

    def test_provenance_names_version_and_digest(self) -> None:
        about = provenance(SampleParameters(style="bach"), "7", "songs@abc", 0)
        assert (about["model_version"], about["dataset"], about["dataset_digest"]) == ("7", "songs", "abc")

    def test_a_prompt_that_cannot_be_used_says_why(self, tmp_path: Path, midi_fixtures: Path) -> None:
        assert len(read_prompt(midi_fixtures / "ok_type0.mid")) == 8
        with pytest.raises(UserError, match=r"nowhere\.mid cannot be read: No such file"):
            read_prompt(tmp_path / "nowhere.mid")
        with pytest.raises(UserError, match=r"html_404\.mid cannot be used: not_midi"):
            read_prompt(midi_fixtures / "html_404.mid")
