"""Set-up for all tests: whatever libraries write by default goes into a temporary folder."""

from __future__ import annotations

import gc
import json
import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import settings

from infra.lake import Lake
from infra.locks import exclusive
from infra.services import library_environment

if TYPE_CHECKING:
    from registry.store import Registry
    from tokenization.encodings import Encoding
    from tokenization.vocabulary import Vocabulary

# Libraries read their settings as they are imported, which other folders' conftest files do before any hook runs.
SCRATCH = Path(tempfile.mkdtemp(prefix="musenet-tests-"))
os.environ.pop("PREFECT_API_URL", None)
os.environ.update(library_environment(Lake(SCRATCH)))
# Tests run side by side, and the threads of small tensors would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Of each property; `--hypothesis-profile=default` tries 100.
settings.register_profile("musenet", max_examples=25)
settings.load_profile("musenet")


def pytest_collection_finish() -> None:
    """Keep what is loaded by now out of garbage collections: DeepSpeed asks for one at every step of its set-up."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    shutil.rmtree(SCRATCH, ignore_errors=True)


@pytest.fixture(autouse=True)
def environment_as_before() -> Iterator[None]:
    """Commands set environment variables for the libraries they import; no test inherits another's."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session")
def song() -> Callable[[int], bytes]:
    """Makes MIDI files: `song(seed)` is a tune of 40 quavers drawn by the seed."""
    import numpy as np

    from tokenization.midi.notes import Notes
    from tokenization.midi.writing import write_midi

    def draw(seed: int) -> bytes:
        pitch = np.random.default_rng(seed).integers(48, 84, 40)
        columns = (np.arange(40) / 4, np.full(40, 0.2), pitch, [80] * 40, [0] * 40, [False] * 40)
        return write_midi(Notes.from_columns(*columns))

    return draw


@pytest.fixture(scope="session")
def make_registry(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Lake], Registry]:
    """Opens the registry of a new lake, a copy of one that the processes of the tests make once: it takes seconds."""
    base = tmp_path_factory.getbasetemp()
    template = Lake((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "registry")

    def make(lake: Lake) -> Registry:
        from registry.store import Registry

        with exclusive(template.root / "lock"):
            Registry.open(template)
        lake.registry_database.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(template.registry_database, lake.registry_database)
        return Registry.open(lake)

    return make


@pytest.fixture(scope="session")
def make_description() -> Callable[..., Any]:
    """Makes the description of a version of `songs` without pieces: `make_description(encoding, **changes)`."""
    from tokenization.dataset.description import Description, FamilyCounts, VocabularyInfo
    from tokenization.dataset.encoding_files import EncodingInfo
    from tokenization.dataset.splits import SPLITS

    def describe(encoding: Encoding, **changes: Any) -> Description:
        values: dict[str, Any] = {
            "name": "songs",
            "digest": "0123456789abcdef" * 2,
            "input_key": "fedcba9876543210" * 2,
            "parent": None,
            "created": datetime(2026, 11, 1, tzinfo=UTC),
            "encoding": EncodingInfo.of(encoding),
            "vocabulary": VocabularyInfo(name=encoding.vocabulary.name, digest=encoding.vocabulary.digest),
            "settings": {"splits": {"validation": 0.1, "test": 0.1, "seed": 0}},
            "files": 0,
            "outcomes": {},
            "ignored": {},
            **{count: dict.fromkeys(SPLITS, 0) for count in ("pieces", "variants", "tokens")},
            "notes": 0,
            "hours": 0.0,
            "styles": {},
            "licences": {},
            "collections": [],
            "gates": [],
            "families": FamilyCounts(families=0, members=0, largest=0),
            "repairs": {},
            "statistics": {},
            "shards": {},
        }
        return Description(**{**values, **changes})

    return describe


@pytest.fixture(scope="session")
def small_vocabulary() -> Vocabulary:
    """A quarter of MuseNet's: piano in two velocities, violin, cello and drums; the styles bach and jazz."""
    from tokenization.vocabulary import Vocabulary

    instruments = [
        {"name": "piano", "group": "piano", "output_program": 0, "rows": [0, 64, 100]},
        {"name": "violin", "group": "strings", "output_program": 40, "rows": [80, 0], "programs": [40, 41]},
        {"name": "cello", "group": "strings", "output_program": 42, "rows": [80, 0], "programs": [42, 43]},
        {"name": "drums", "group": "drums", "output_program": 0, "rows": [80], "drum": True},
    ]
    file = {
        "name": "test",
        "ticks_per_second": 96,
        "ticks_per_beat": 48,
        "max_wait": 32,
        "style_slots": 4,
        "tempos": [60, 120],
        "groups": ["drums", "strings", "piano"],
        "instruments": instruments,
    }
    return Vocabulary.from_dict({**file, "styles": ["bach", "jazz"]})


@pytest.fixture(scope="session")
def midi_fixtures() -> Path:
    """The project's own MIDI files, good and broken; their SOURCES.md says what each is."""
    return Path(__file__).parent / "fixtures" / "midi"


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


@pytest.fixture(scope="session")
def make_bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes the files of a model version, with random weights drawn by `seed`; ten tokens of it are a second."""

    def make(seed: int = 0) -> Path:
        import torch

        from modeling.config import ModelConfig, SparsityConfig
        from modeling.criticism import Critic, CriticConfig, Estimate, new_head, save_critic
        from modeling.network.transformer import MuseNet
        from modeling.network.weights import save_model
        from tokenization.dataset import write_encoding
        from tokenization.dataset.pace import Pace
        from tokenization.encodings.combined import Combined
        from tokenization.vocabulary import Vocabulary

        folder = tmp_path_factory.mktemp("bundle")
        vocabulary = Vocabulary.load("musenet", styles=["bach", "jazz"])
        size, sparsity = vocabulary.size, SparsityConfig(mode="dense")
        config = ModelConfig(layers=1, heads=2, d_model=16, context=64, vocabulary_size=size, sparsity=sparsity)
        torch.manual_seed(seed)
        model = MuseNet(config)
        save_model(model, folder)
        config = CriticConfig(window=32, hidden=8)
        beats_chance = Estimate(0.8, 0.6, 0.9)
        critic = Critic(model, model, new_head(16, config), config, auc=beats_chance)
        save_critic(critic, folder, is_tuned=False)
        write_encoding(folder, Combined(vocabulary))
        Pace(10.0, {"jazz": 20.0}).write(folder)
        lineage = {"run": "0123456789ab", "dataset": "songs", "digest": "ab" * 16, "preset": "tiny"}
        (folder / "lineage.json").write_text(json.dumps(lineage))
        return folder

    return make
