"""A model version with random weights, ready to compose."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from registry.composer import Composer
from registry.identity import ModelIdentity
from registry.piece import Piece

Compose = Callable[..., Piece]


@pytest.fixture(scope="session")
def composer(make_bundle: Callable[..., Path]) -> Composer:
    bundle = make_bundle()
    return Composer(bundle, ModelIdentity.of_files(bundle))


@pytest.fixture(scope="session")
def piece(composer: Composer) -> Piece:
    return composer.compose(style="bach", instruments=["piano"], length=64, best_of=2, seed=7)


def chunk(name: bytes, data: bytes) -> bytes:
    """A RIFF chunk."""
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def sine_soundfont(frames: int = 4410, rate: int = 44100) -> bytes:
    """A SoundFont 2 file whose only preset is a looped sine; its sample, at 440 Hz, is the pitch A4.

    The layout is that of the SoundFont 2.01 specification, section 4: INFO, sdta with the sample and 46 zeros behind
    it, and pdta with nine lists, each closed by a terminal record.
    """
    sine = (np.sin(2 * np.pi * 440 / rate * np.arange(frames)) * 20000).astype("<i2").tobytes() + bytes(92)
    name = b"sine".ljust(20, b"\0")
    end = b"end".ljust(20, b"\0")
    lists = {
        b"phdr": name + struct.pack("<HHHIII", 0, 0, 0, 0, 0, 0) + end + struct.pack("<HHHIII", 0, 0, 1, 0, 0, 0),
        b"pbag": struct.pack("<HHHH", 0, 0, 1, 0),
        b"pmod": bytes(10),
        b"pgen": struct.pack("<HHHH", 41, 0, 0, 0),  # generator 41: the instrument
        b"inst": name + struct.pack("<H", 0) + end + struct.pack("<H", 1),
        b"ibag": struct.pack("<HHHH", 0, 0, 2, 0),
        b"imod": bytes(10),
        b"igen": struct.pack("<HHHHHH", 54, 1, 53, 0, 0, 0),  # 54: looped; 53: the sample
        b"shdr": name
        + struct.pack("<IIIIIBbHH", 0, frames, 0, frames, rate, 69, 0, 0, 1)
        + end
        + struct.pack("<IIIIIBbHH", 0, 0, 0, 0, 0, 0, 0, 0, 0),
    }
    info = b"INFO" + chunk(b"ifil", struct.pack("<HH", 2, 1)) + chunk(b"isng", b"EMU8000\0") + chunk(b"INAM", b"sine")
    samples = b"sdta" + chunk(b"smpl", sine)
    presets = b"pdta" + b"".join(chunk(key, data) for key, data in lists.items())
    return chunk(b"RIFF", b"sfbk" + b"".join(chunk(b"LIST", part) for part in (info, samples, presets)))


@pytest.fixture(scope="session")
def soundfont(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("soundfont") / "sine.sf2"
    file.write_bytes(sine_soundfont())
    return file
