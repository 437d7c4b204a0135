"""Audio of a MIDI file, rendered with a soundfont: WAV, FLAC or MP3.

The renderer is RustySynth (packaged as midirenderer), the encoder libsndfile (soundfile). The extra `audio` installs
both, and pretty_midi, of which only the soundfont that it ships is used: TimGM6mb, 6 MB, GPL 2.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import numpy as np

from infra.errors import MusenetError, RunError, UserError, message_of
from registry.soundfonts import VARIABLE, is_soundfont, soundfonts

SUFFIX = ".sf2"
"""Of the files that the renderer reads."""
PEAK = 0.89
"""Amplitude of the loudest sample, 1 dB below full scale; soundfonts differ in loudness."""
REMEDY = "`pip install 'musenet[audio]'` brings all that it needs"


class AudioFormat(StrEnum):
    """Formats that `--audio` accepts, which are also the suffixes of the files."""

    WAV = "wav"
    FLAC = "flac"
    MP3 = "mp3"


@dataclass(frozen=True)
class Soundfont:
    """A SoundFont 2 file."""

    path: Path

    @classmethod
    def find(cls, given: Path | None) -> Soundfont:
        """Return the soundfont of the user (`given`, else `$MUSENET_SOUNDFONT`), else a SoundFont 2 that is installed.

        Raises UserError where there is none, or no package that renders.
        """
        missing = [name for name in ("midirenderer", "soundfile") if importlib.util.find_spec(name) is None]
        if missing:
            raise UserError(f"audio needs the packages midirenderer and soundfile; {REMEDY}")
        named = given or os.environ.get(VARIABLE)
        if named:
            cls(Path(named).expanduser()).data  # noqa: B018 (raises for a file that is no soundfont)
            return cls(Path(named).expanduser())  # without its bytes, as it is sent to workers
        for found in soundfonts():
            if found.path.suffix == SUFFIX and found.path.is_file():
                return cls(found.path)
        raise UserError(f"audio needs a soundfont: {REMEDY}, or name a .sf2 file by --soundfont, ${VARIABLE}")

    @cached_property
    def data(self) -> bytes:
        """The bytes. Raises UserError for a file that is no SoundFont 2."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise UserError(f"the soundfont {self.path} cannot be read: {error.strerror}") from error
        if not is_soundfont(data):
            raise UserError(f"{self.path} is no SoundFont 2 file (.sf2)")
        return data

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def render(midi: bytes, soundfont: Soundfont, audio: AudioFormat) -> bytes:
    """Return a MIDI file as audio, two channels of 48,000 samples a second, its peak at PEAK.

    Raises UserError for a soundfont that cannot be played, RunError for a file that cannot be rendered.
    """
    import midirenderer
    import soundfile

    try:
        wave = midirenderer.render_wave_from(soundfont.data, midi)
    except (ValueError, RuntimeError) as error:
        raise UserError(f"the soundfont {soundfont.path} cannot play the piece: {message_of(error)}") from error
    samples, rate = soundfile.read(io.BytesIO(wave), dtype="float32")
    loudest = float(np.abs(samples).max(initial=0.0))
    out = io.BytesIO()
    try:
        soundfile.write(out, samples * (PEAK / loudest) if loudest else samples, rate, format=str(audio).upper())
    except (soundfile.LibsndfileError, ValueError) as error:
        raise RunError(f"{audio} cannot be written: {message_of(error)}; take --audio wav") from error
    return out.getvalue()


def rendered_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of an MP3 file for each MIDI file in a folder that can be played.

    Nothing is yielded where no audio can be rendered here.
    """
    with suppress(UserError):
        soundfont = Soundfont.find(None)
        for file in sorted(folder.glob("*.mid")):
            with suppress(MusenetError):
                yield f"{file.stem}.{AudioFormat.MP3}", render(file.read_bytes(), soundfont, AudioFormat.MP3)
