"""Audio: the notes sound at their pitch and time, in every format; without a soundfont there is one clear sentence."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from infra.errors import UserError
from registry import audio, soundfonts
from registry.audio import AudioFormat, Soundfont, render, rendered_files
from tokenization.midi.notes import Notes
from tokenization.midi.writing import write_midi

# A5 for half a second, then A4 from 1.0 s to 1.5 s.
MIDI = write_midi(Notes.from_columns([0.0, 1.0], [0.5, 0.5], [81, 69], [100, 100], [0, 0], [False, False]))


def loudest_hertz(samples: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples.mean(axis=1)))
    return float(spectrum.argmax() * rate / len(samples))


@pytest.mark.parametrize("kind", AudioFormat)
def test_notes_sound_at_their_pitch_and_time(soundfont: Path, kind: AudioFormat) -> None:
    samples, rate = soundfile.read(io.BytesIO(render(MIDI, Soundfont(soundfont), kind)))
    assert rate == 48000
    assert samples.shape[1] == 2
    first, rest, second = (samples[int(a * rate) : int(b * rate)] for a, b in ((0.1, 0.4), (0.7, 0.95), (1.1, 1.4)))
    assert loudest_hertz(first, rate) == pytest.approx(880, rel=0.01)
    assert loudest_hertz(second, rate) == pytest.approx(440, rel=0.01)
    assert np.abs(rest).max() < 0.2 * np.abs(first).max(), "only the reverberation is left"
    assert np.abs(samples).max() == pytest.approx(audio.PEAK, abs=0.05)


def test_the_same_piece_gives_the_same_bytes(soundfont: Path) -> None:
    first, again = (render(MIDI, Soundfont(soundfont), AudioFormat.WAV) for _ in range(2))
    assert first == again


def test_silence_is_rendered_too(soundfont: Path) -> None:
    empty = write_midi(Notes.from_columns([], [], [], [], [], []))
    samples, _ = soundfile.read(io.BytesIO(render(empty, Soundfont(soundfont), AudioFormat.WAV)))
    assert not samples.any()


def test_a_folder_is_rendered_file_by_file(soundfont: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bach-1.mid").write_bytes(MIDI)
    (tmp_path / "broken.mid").write_bytes(b"MThd")
    monkeypatch.setenv("MUSENET_SOUNDFONT", str(soundfont))
    found = dict(rendered_files(tmp_path))
    assert list(found) == ["bach-1.mp3"]
    assert soundfile.info(io.BytesIO(found["bach-1.mp3"])).format == "MP3"
    monkeypatch.setenv("MUSENET_SOUNDFONT", "nowhere.sf2")
    assert dict(rendered_files(tmp_path)) == {}, "audio is no condition for anything else"


class TestTheSoundfont:
    def test_is_the_one_named_else_that_of_the_environment(
        self, soundfont: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        other = tmp_path / "other.sf2"
        other.write_bytes(soundfont.read_bytes())
        monkeypatch.setenv("MUSENET_SOUNDFONT", str(other))
        assert Soundfont.find(None).path == other
        assert Soundfont.find(soundfont).path == soundfont

    def test_else_the_one_that_the_extra_installs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("MUSENET_SOUNDFONT", raising=False)
        monkeypatch.setattr(soundfonts, "PLACES", ())
        font = Soundfont.find(None)
        assert font.path.name == "TimGM6mb.sf2"
        assert len(render(MIDI, font, AudioFormat.MP3)) > 1000

    def test_without_one_there_is_one_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("MUSENET_SOUNDFONT", raising=False)
        monkeypatch.setattr(soundfonts, "PLACES", ())
        find = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pretty_midi" else find(name))
        with pytest.raises(UserError, match=r"audio needs a soundfont: `pip install 'musenet\[audio\]'` brings all"):
            Soundfont.find(None)

    def test_without_the_packages_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        find = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "soundfile" else find(name))
        with pytest.raises(UserError, match="audio needs the packages midirenderer and soundfile"):
            Soundfont.find(None)

    @pytest.mark.parametrize("data", [b"", b"RIFF\0\0\0\0WAVE"])
    def test_that_is_none_is_refused(self, tmp_path: Path, data: bytes) -> None:
        (tmp_path / "font.sf2").write_bytes(data)
        with pytest.raises(UserError, match=r"font\.sf2 is no SoundFont 2 file"):
            Soundfont.find(tmp_path / "font.sf2")
        with pytest.raises(UserError, match=r"nowhere\.sf2 cannot be read"):
            Soundfont.find(tmp_path / "nowhere.sf2")

    def test_that_is_damaged_is_refused(self, soundfont: Path, tmp_path: Path) -> None:
        (tmp_path / "font.sf2").write_bytes(soundfont.read_bytes()[:200])
        with pytest.raises(UserError, match="cannot play the piece"):
            render(MIDI, Soundfont(tmp_path / "font.sf2"), AudioFormat.WAV)
