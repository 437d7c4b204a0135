"""Audio of a MIDI file, rendered with a soundfont: WAV, FLAC or MP3.

The renderer is RustySynth (packaged as midirenderer), the encoder libsndfile (soundfile). The extra `audio` installs
both, and pretty_midi, of which only the soundfont that it ships is used: TimGM6mb, 6 MB, GPL 2.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import numpy as np

from infra.errors import RunError, UserError, message_of

SOUNDFONT_VARIABLE = "MUSENET_SOUNDFONT"
PLACES = (
    "/usr/share/sounds/sf2/default-GM.sf2",
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "/usr/share/sounds/sf2/TimGM6mb.sf2",
    "/usr/share/soundfonts/default.sf2",
)
"""Where Linux distributions install General MIDI soundfonts."""
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
        """Return the soundfont of the user (`given`, else `$MUSENET_SOUNDFONT`), else one that is installed.

        Raises UserError where there is none, or no package that renders.
        """
        missing = [name for name in ("midirenderer", "soundfile") if importlib.util.find_spec(name) is None]
        if missing:
            raise UserError(f"audio needs the packages midirenderer and soundfile; {REMEDY}")
        named = given or os.environ.get(SOUNDFONT_VARIABLE)
        if named:
            cls(Path(named).expanduser()).data  # noqa: B018 (raises for a file that is no soundfont)
            return cls(Path(named).expanduser())  # without its bytes, as it is sent to workers
        for place in (*map(Path, PLACES), *_packaged()):
            if place.is_file():
                return cls(place)
        raise UserError(f"audio needs a soundfont: {REMEDY}, or name a .sf2 file by --soundfont, ${SOUNDFONT_VARIABLE}")

    @cached_property
    def data(self) -> bytes:
        """The bytes. Raises UserError for a file that is no SoundFont 2."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise UserError(f"the soundfont {self.path} cannot be read: {error.strerror}") from error
        if data[:4] != b"RIFF" or data[8:12] != b"sfbk":
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


def _packaged() -> list[Path]:
    """Return the soundfont that the package pretty_midi ships, without importing it."""
    found = importlib.util.find_spec("pretty_midi")
    return [] if found is None or found.origin is None else [Path(found.origin).parent / "TimGM6mb.sf2"]
