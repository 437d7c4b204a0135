"""What the tests of ingestion share: an object store."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flows.engines import Engine
from flows.ingestion.context import IngestContext
from flows.ingestion.parameters import IngestParameters
from flows.ingestion.pipeline import (
    ParsedFiles,
    choose_encoding,
    deduplicate,
    parse_new,
    publish_version,
    scan_collections,
)
from flows.ingestion.publishing import Published
from flows.ingestion.sources import Collection
from infra.lake import Lake

IngestBy = Callable[..., tuple[ParsedFiles, Published]]


@dataclass(frozen=True)
class ObjectStore:
    """An S3-compatible server on this machine, and a bucket in it."""

    endpoint: str
    bucket: str


@pytest.fixture(scope="session")
def s3_store() -> Iterator[ObjectStore]:
    """A real server; the environment says where it is, so that `s3://` URLs lead to it in child processes too."""
    import fsspec
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    store = ObjectStore(f"http://{host}:{port}", "midi")
    settings = {
        "AWS_ENDPOINT_URL": store.endpoint,
        "AWS_ACCESS_KEY_ID": "musenet",
        "AWS_SECRET_ACCESS_KEY": "musenet",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        fsspec.filesystem("s3").mkdir(store.bucket)
        yield store
    server.stop()


@pytest.fixture(scope="session")
def mixed_songs(tmp_path_factory: pytest.TempPathFactory, song: Any, midi_fixtures: Path) -> Path:
    """A folder of 24 tunes, two of which are there twice, and of files that cannot be read. Tests only read it."""
    folder = tmp_path_factory.mktemp("mixed") / "songs"
    files = {f"{'jazz' if seed % 3 else 'bach'}/{seed:02}.mid": song(seed, notes=40) for seed in range(24)}
    files |= {f"copies/{seed}.mid": song(seed, notes=40) for seed in range(2)}
    for name in ("html_404.mid", "only_header.mid", "truncated_in_track.mid", "data_byte_high.mid"):
        files[f"broken/{name}"] = (midi_fixtures / name).read_bytes()
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def songs_parameters(lake: Lake, location: str | Path) -> IngestParameters:
    """A collection `songs`, in partitions so small that there are some."""
    collection = Collection(name="songs", location=str(location), licence="CC0")
    return IngestParameters(collections=[collection], name="songs", lake=lake.address, partition_files=16)


@pytest.fixture(scope="session")
def songs_in() -> Callable[[Lake, str | Path], IngestParameters]:
    """The parameters of an ingestion: see `songs_parameters`."""
    return songs_parameters


@pytest.fixture(scope="session")
def ingest_by() -> IngestBy:
    """Ingests a folder or URL as the collection `songs` with an engine: `ingest_by(engine, lake, location)`."""

    def ingest(engine: Engine, lake: Lake, location: str | Path) -> tuple[ParsedFiles, Published]:
        parameters = songs_parameters(lake, location)
        context = IngestContext.resolve(parameters)
        inventory = scan_collections(context, lambda *_: None)
        parsed = parse_new(context, inventory, engine, lambda *_: None)
        manifest = deduplicate(context, inventory, parsed)
        encoding = choose_encoding(context, manifest, parsed, lambda *_: None)
        return parsed, publish_version(context, inventory, manifest, parsed, encoding, engine, lambda *_: None)

    return ingest
