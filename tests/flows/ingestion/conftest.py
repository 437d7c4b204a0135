"""What the tests of ingestion share: an object store."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest


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
