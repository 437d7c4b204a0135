"""What the tests of `flows` share: songs that differ in known ways, and a finished run of an untrained model.

Training takes a minute; registration, criticism and sampling do not ask what a model has learned. So their run
is made by hand around a real model with random weights. `demo/test_demo.py` goes the whole way.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from flows.engines import Engine, EngineName, open_engine
from flows.ingestion.context import IngestContext
from flows.ingestion.dedup.splits import SplitShares
from flows.ingestion.parameters import IngestParameters
from flows.ingestion.parsing import ParseLimits
from flows.ingestion.pipeline import (
    ParsedFiles,
    choose_encoding,
    deduplicate,
    parse_new,
    publish_version,
    scan_collections,
)
from flows.ingestion.publishing import Published
from flows.ingestion.sources import Collection, Inventory
from flows.ingestion.workers import worker_settings
from flows.training.runs import Run, prepare_run
from infra.lake import Lake
from tokenization.dataset import DatasetVersion, find_version
from tokenization.midi.notes import Notes
from tokenization.midi.writing import write_midi

if TYPE_CHECKING:
    from prefect.events import Event

SongMaker = Callable[..., bytes]
Ingester = Callable[..., DatasetVersion]
Stepper = Callable[..., "Steps"]


def song_notes(seed: int, notes: int = 20, program: int = 0, drums: bool = False) -> Notes:
    """A tune of quavers drawn by seed."""
    random = np.random.default_rng(seed)
    onset = np.arange(notes) / 4
    pitch = random.integers(48, 84, notes)
    return Notes.from_columns(onset, np.full(notes, 0.2), pitch, [80] * notes, [program] * notes, [drums] * notes)


@pytest.fixture(scope="session")
def song() -> SongMaker:
    """Makes the bytes of a MIDI file: other seeds, other tunes. Takes what `song_notes` takes."""
    return lambda *args, **kwargs: write_midi(song_notes(*args, **kwargs))


@dataclass(frozen=True)
class Steps:
    """What each step of an ingestion gave."""

    inventory: Inventory
    parsed: ParsedFiles
    manifest: pl.DataFrame
    published: Published

    @property
    def version(self) -> DatasetVersion:
        return self.published.version


def ingest_steps(engine: Engine, lake: Lake, name: str, *collections: Collection, **settings: object) -> Steps:
    """The steps of ingestion one after the other, without Prefect."""
    parameters = ingest_parameters(lake, name, *collections, **settings)
    context = IngestContext.resolve(parameters)
    inventory = scan_collections(context, lambda *_: None)
    parsed = parse_new(context, inventory, engine, lambda *_: None)
    manifest = deduplicate(context, inventory, parsed)
    encoding = choose_encoding(context, manifest, parsed, lambda *_: None)
    published = publish_version(context, inventory, manifest, parsed, encoding, engine, lambda *_: None)
    return Steps(inventory, parsed, manifest, published)


def ingest_parameters(lake: Lake, name: str, *collections: Collection, **settings: object) -> IngestParameters:
    """The parameters of an ingestion with one worker, unless `settings` say otherwise."""
    given = {"collections": list(collections), "name": name, "lake": lake.address, "workers": 1, **settings}
    return IngestParameters.model_validate(given)


def as_collection(source: Path | Collection) -> Collection:
    """A folder as the collection of its name."""
    return source if isinstance(source, Collection) else Collection(name=source.name, location=source, licence="CC0")


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Two worker processes for all tests that do not ask how many there are: starting them takes seconds."""
    with open_engine(EngineName.LOCAL, 2, worker_settings(ParseLimits()), None) as engine:
        yield engine


@pytest.fixture(scope="session")
def steps(engine: Engine) -> Stepper:
    """Ingests folders and collections in those processes: `steps(lake, name, *sources, **settings)`."""

    def run(lake: Lake, name: str, *sources: Path | Collection, **settings: object) -> Steps:
        return ingest_steps(engine, lake, name, *map(as_collection, sources), **settings)

    return run


@pytest.fixture(scope="session")
def ingest(steps: Stepper) -> Ingester:
    """Ingests folders into a dataset as `steps` does, and returns the version."""
    return lambda lake, name, *folders, **settings: steps(lake, name, *folders, **settings).version


@pytest.fixture
def shared_workers(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the ingestion flow use those processes, where starting its own is not the matter."""
    monkeypatch.setattr("flows.ingestion.flow.open_engine", lambda *_: nullcontext(engine))


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prefect server for all flows that run in this process."""
    from infra.services import prefect_server

    lake = Lake(tmp_path_factory.mktemp("prefect"))
    lake.services.mkdir()
    with prefect_server(lake) as address:
        yield address


@pytest.fixture
def announced() -> Iterator[Callable[[], list[Event]]]:
    """Have Prefect keep the events that it is to send; the result returns musenet's own."""
    from prefect.events.clients import AssertingEventsClient
    from prefect.events.worker import EventsWorker

    def so_far() -> list[Event]:
        EventsWorker.instance().wait_until_empty()
        events = [event for client in AssertingEventsClient.all for event in client.events]
        return [event for event in events if event.event.startswith("musenet.")]

    AssertingEventsClient.reset()
    EventsWorker.set_client_override(AssertingEventsClient)
    yield so_far
    EventsWorker.drain_all(timeout=30)
    EventsWorker.set_client_override(None)


def finished_run(lake: Lake, dataset: DatasetVersion, seed: int = 0) -> Run:
    """A run as training leaves it, its model with random weights."""
    import torch

    from modeling.config import load_preset, with_settings
    from modeling.network.transformer import MuseNet
    from modeling.network.weights import save_model
    from modeling.training.events import Finished, RunStarted, append_event

    shape = {
        "model.layers": 1,
        "model.heads": 2,
        "model.d_model": 16,
        "model.context": 64,
        "model.sparsity.mode": "dense",
    }
    preset = with_settings(load_preset("tiny"), {**shape, "training.steps": 4, "training.seed": seed})
    run = prepare_run(lake, dataset, preset, ranks=1)
    torch.manual_seed(seed)
    model = MuseNet(preset.model.over(dataset.vocabulary))
    start = RunStarted(
        step=0,
        steps=4,
        parameters=model.parameter_count(),
        precision="fp32",
        device="cpu",
        ranks=1,
        train_pieces=12,
        train_tokens=1200,
    )
    append_event(run.folder.metrics, start)
    end = Finished(step=4, best_step=4, seconds=12.0, nats_per_token=2.5, nats_per_note=7.5)
    append_event(run.folder.metrics, end)
    save_model(model, run.folder.model)
    return run


@pytest.fixture(scope="session")
def finish_run() -> Callable[..., Run]:
    """Makes finished runs: see `finished_run`."""
    return finished_run


@pytest.fixture(scope="session")
def songs_folder(tmp_path_factory: pytest.TempPathFactory, song: SongMaker) -> Path:
    """24 tunes of styles bach and jazz."""
    home = tmp_path_factory.mktemp("songs")
    for seed in range(24):
        folder = home / "songs" / ("bach" if seed % 2 else "jazz")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{seed:02}.mid").write_bytes(song(seed))
    return home / "songs"


@pytest.fixture(scope="session")
def songs_lake(songs_folder: Path, ingest: Ingester) -> Lake:
    """A lake with the dataset `songs`: these tunes, half of them held out. Tests only read it."""
    lake = Lake(songs_folder.parent / "lake")
    ingest(lake, "songs", songs_folder, splits=SplitShares(validation=0.3, test=0.2))
    return lake


@pytest.fixture(scope="module")
def studio(
    tmp_path_factory: pytest.TempPathFactory, songs_lake: Lake, make_registry: Callable[[Lake], object]
) -> tuple[Lake, DatasetVersion, Run]:
    """A lake of each test file's own, with the dataset `songs`, a finished run and an empty registry."""
    lake = Lake(tmp_path_factory.mktemp("studio") / "lake")
    shutil.copytree(songs_lake.root, lake.root)
    make_registry(lake)
    dataset = find_version(lake, "songs")
    return lake, dataset, finished_run(lake, dataset)


@dataclass(frozen=True)
class Catalogue:
    """Two versions of one dataset, and the folder that they were made of as it is now."""

    lake: Lake
    folder: Path
    before: DatasetVersion
    after: DatasetVersion


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory, song: SongMaker, steps: Stepper) -> Catalogue:
    """A small collection with duplicates and a broken file, before and after some changes to it and its rules.

    Tests only read it.
    """
    home = tmp_path_factory.mktemp("catalogue")
    folder, lake = home / "songs", Lake(home / "lake")
    first = song_notes(1, notes=40)
    files = {
        "bach/1.mid": write_midi(first),
        "bach/2.mid": song(2),
        "bach/copy.mid": write_midi(first),
        "bach/higher.mid": write_midi(replace(first, pitch=first.pitch + np.uint8(3))),
        "jazz/3.mid": song(3),
        "jazz/gone.mid": song(4),
        "jazz/other.mid": song(5),
        "jazz/short.mid": song(6, notes=18),
        "broken.mid": b"no music",
        "cover.jpg": b"a picture",
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    before = steps(lake, "mine", folder).version
    (folder / "jazz" / "gone.mid").unlink()
    (folder / "jazz" / "new.mid").write_bytes(song(7))
    (folder / "jazz" / "other.mid").write_bytes(song(8))
    renamed = as_collection(folder).model_copy(update={"synonyms": {"jazz": "swing"}})
    return Catalogue(lake, folder, before, steps(lake, "mine", renamed, limits={"min_notes": 19}).version)


# Worker processes must be able to import what they run; a test file is no module that they know.
FAILING_FUNCTIONS = """
import os, signal, time
from dataclasses import dataclass, replace

@dataclass(frozen=True)
class Job:
    items: tuple
    failed: dict

    def without(self, item, failure):
        return replace(self, failed={**self.failed, item: failure})

def ready():
    pass

def act(job, heartbeat):
    results = []
    for index, item in enumerate(job.items):
        heartbeat.at(index)
        results.append(job.failed[index] if index in job.failed else act_on(item))
    return results

def act_on(item):
    if item == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "abort":
        os.abort()
    if item == "leave":
        os._exit(0)
    if item == "hang":
        time.sleep(600)
    if item == "eat":
        return len(bytearray(64 * 2**30))
    if item == "raise":
        raise ValueError("the disk is full")
    if item == "large":
        return bytes(2**23)
    if item == "which":
        time.sleep(0.02)
        return os.getpid()
    return item * 2

def crash_between_items(job, heartbeat):
    os.abort()

def slow_start():
    time.sleep(3)
"""


@pytest.fixture(scope="session")
def failing_functions() -> str:
    """A module for worker processes whose items double, raise, crash, hang or eat memory, as they say."""
    return FAILING_FUNCTIONS
