"""Export: MIDI that any program opens, tokens as text, a picture, and all that is needed to make them again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
from PIL import Image

from flows.sampling.export import AudioOutput, export
from flows.sampling.metadata import find_prompt, read_metadata
from infra.errors import UserError
from registry.audio import AudioFormat, Soundfont
from registry.composer import Composer
from registry.piece import Piece
from registry.requests import PieceRequest
from tokenization.midi import read_midi

TEXT = (
    "bach piano_strings_drums start tempo120 piano:v72:C4 violin:v80:G4 drums:v80:C2 wait:96 "
    "piano:v0:C4 violin:v0:G4 piano:v72:E4 wait:48 piano:v0:E4 end"
)


def piece_of(piece: Piece, text: str = TEXT) -> Piece:
    return replace(piece, tokens=piece.encoding.vocabulary.from_text(text), candidate=3, score=0.625)


class TestFiles:
    def test_midi_with_named_tracks(self, piece: Piece, tmp_path: Path) -> None:
        sample = export(piece_of(piece), tmp_path / "deep" / "er")
        notes = read_midi(Path(sample.midi).read_bytes())
        assert sorted(zip(notes.pitch.tolist(), notes.onset.tolist())) == [(36, 0.0), (60, 0.0), (64, 1.0), (67, 0.0)]
        names = [track.name for track in mido.MidiFile(sample.midi).tracks]
        assert names == [piece_of(piece).title, "piano", "violin", "drums"]
        assert (sample.notes, sample.seconds, sample.score) == (4, 1.5, 0.625)

    def test_text_that_decodes_again(self, piece: Piece, tmp_path: Path) -> None:
        assert Path(export(piece_of(piece), tmp_path).text).read_text() == TEXT + "\n"

    def test_a_picture_of_sensible_size(self, piece: Piece, tmp_path: Path) -> None:
        with Image.open(export(piece_of(piece), tmp_path).picture) as picture:
            picture.load()
            assert picture.format == "PNG"
            width, height = picture.size
            assert 400 <= height <= 1200
            assert 800 <= width <= 4000
            colours = picture.convert("RGB").getcolors(maxcolors=2**24)
        assert colours is not None
        assert len(colours) > 10, "an empty picture"

    def test_metadata_name_what_was_asked_for_and_does_not_sound(self, piece: Piece, tmp_path: Path) -> None:
        request = piece.request.model_copy(update={"instruments": ("violin", "strings", "harp", "drums", "cello")})
        sample = export(replace(piece_of(piece), request=request), tmp_path)
        assert read_metadata(Path(sample.metadata)).unheard == sample.unheard == ("harp", "cello")

    def test_a_piece_without_notes_is_written_too(self, piece: Piece, tmp_path: Path) -> None:
        sample = export(piece_of(piece, "bach piano start tempo120 wait:96 end"), tmp_path)
        assert (sample.notes, sample.seconds) == (0, 0.0)
        assert Path(sample.midi).read_bytes().startswith(b"MThd")
        assert Path(sample.picture).exists()

    def test_nothing_else_is_left(self, piece: Piece, tmp_path: Path) -> None:
        export(piece, tmp_path)
        names = [f"{piece.name}.{suffix}" for suffix in ("json", "mid", "png", "txt")]
        assert sorted(path.name for path in tmp_path.iterdir()) == names

    def test_a_folder_that_cannot_be_written_is_the_users_error(self, piece: Piece, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(UserError, match="cannot be written"):
            export(piece, tmp_path / "file")


class TestNames:
    def test_samples_of_other_requests_do_not_overwrite_each_other(self, composer: Composer, tmp_path: Path) -> None:
        short = {"style": "bach", "length": 32, "best_of": 1}
        for temperature in (0.7, 1.3):
            export(composer.compose(**short, temperature=temperature), tmp_path)  # type: ignore[misc]
        assert len([*tmp_path.glob("*.mid")]) == 2

    def test_the_same_request_writes_the_same_files_with_the_same_bytes(
        self, composer: Composer, piece: Piece, tmp_path: Path
    ) -> None:
        export(piece, tmp_path)
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        export(composer.answer(piece.request), tmp_path)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


class TestMetadata:
    def test_holds_all_that_is_needed_to_make_it_again(self, piece: Piece, tmp_path: Path) -> None:
        sample = export(piece, tmp_path)
        about = read_metadata(Path(sample.metadata))
        assert about.request == PieceRequest(style="bach", instruments=("piano",), length=64, best_of=2, seed=7)
        assert about.model == piece.model
        assert about.digest == sample.digest == piece.digest
        assert (about.candidate, about.tokens, about.tempo) == (piece.candidate, len(piece.tokens), 120.0)
        assert about.files["midi"].sha256 == hashlib.sha256(Path(sample.midi).read_bytes()).hexdigest()
        assert about.made_with["numpy"] == np.__version__
        assert {"musenet", "torch", "numba", "python", "machine", "device"} < {*about.made_with}

    def test_names_its_files_without_the_folder(self, piece: Piece, tmp_path: Path) -> None:
        about = json.loads(Path(export(piece, tmp_path).metadata).read_text())
        assert str(tmp_path) not in json.dumps(about)
        assert about["format"] == 2

    @pytest.mark.parametrize("text", ['{"seed": 3}', "[]", '{"format": 99}'])
    def test_of_another_format_is_refused(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "old.json").write_text(text)
        with pytest.raises(UserError, match=r"old\.json is not metadata of format 2.*give the request anew"):
            read_metadata(tmp_path / "old.json")

    def test_that_is_none_is_refused(self, piece: Piece, tmp_path: Path) -> None:
        file = Path(export(piece, tmp_path).metadata)
        content = json.loads(file.read_text())
        file.write_text(json.dumps({**content, "tokens": "many"}))
        with pytest.raises(UserError, match="is damaged: tokens = 'many'"):
            read_metadata(file)
        file.write_text("{")
        with pytest.raises(UserError, match="is not the metadata of a sample"):
            read_metadata(file)
        with pytest.raises(UserError, match="cannot be read: No such file"):
            read_metadata(tmp_path / "nowhere.json")


class TestAPrompt:
    def test_is_kept_beside_the_sample(self, composer: Composer, midi_fixtures: Path, tmp_path: Path) -> None:
        given = tmp_path / "idea.mid"
        given.write_bytes((midi_fixtures / "ok_type0.mid").read_bytes())
        sample = export(composer.compose(prompt=given, length=64, best_of=1), tmp_path / "samples")
        about = read_metadata(Path(sample.metadata))
        given.unlink()
        prompt = find_prompt(about, tmp_path / "samples")
        assert prompt is not None
        assert prompt.data == (midi_fixtures / "ok_type0.mid").read_bytes()
        assert about.request.prompt == given

        (tmp_path / "samples" / prompt.name.rpartition("/")[2]).unlink()
        with pytest.raises(UserError, match=r"the prompt is neither in .* nor, unchanged, in .*idea\.mid"):
            find_prompt(about, tmp_path / "samples")
        given.write_bytes(prompt.data)
        assert find_prompt(about, tmp_path / "samples") is not None


def test_audio_lies_beside_the_midi_file(piece: Piece, soundfont: Path, tmp_path: Path) -> None:
    sample = export(piece, tmp_path, AudioOutput(AudioFormat.FLAC, Soundfont(soundfont)))
    assert sample.audio == str(tmp_path / f"{piece.name}.flac")
    assert soundfile.info(sample.audio).format == "FLAC"
    about = read_metadata(Path(sample.metadata))
    assert about.soundfont is not None and about.soundfont.name == "sine.sf2"
    assert about.files["audio"].name == f"{piece.name}.flac"
