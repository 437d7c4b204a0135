"""A registry elsewhere: a real MLflow server, whose artifacts lie in a real S3-compatible store."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra.lake import Lake
from infra.processes import end_groups
from infra.services.health import free_port
from registry import load
from registry.errors import RegistryError
from registry.identity import folder_digest
from registry.lineage import DatasetReference
from registry.manifest import ChangedFile
from registry.models import CHAMPION, find_model, set_alias
from registry.publishing import register
from registry.pulling import pull
from registry.runs import begin_run
from registry.store import Registry

pytestmark = pytest.mark.slow

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
START_SECONDS = 120.0


def wait_for(url: str) -> None:
    ends = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=2)
            return
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server, which the variable for clients names."""
    import boto3

    home = tmp_path_factory.mktemp("server")
    objects, url = (f"http://127.0.0.1:{free_port(0)}" for _ in range(2))
    environment = {
        **os.environ,
        **KEYS,
        "MLFLOW_S3_ENDPOINT_URL": objects,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # which would start further processes of MLflow's
    }
    moto = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", objects.rpartition(":")[2]]
    mlflow = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"),
        *("--port", url.rpartition(":")[2], "--backend-store-uri", f"sqlite:///{home}/mlflow.db"),
        *("--default-artifact-root", "s3://models/musenet", "--no-serve-artifacts", "--workers", "1"),
    ]
    with (home / "log").open("wb") as log, pytest.MonkeyPatch.context() as patch:
        processes = [
            subprocess.Popen(command, env=environment, cwd=home, stdout=log, stderr=log, start_new_session=True)
            for command in (moto, mlflow)
        ]
        try:
            wait_for(f"{objects}/moto-api/")
            boto3.client("s3", endpoint_url=objects, region_name="us-east-1", **_credentials()).create_bucket(
                Bucket="models"
            )
            wait_for(f"{url}/health")
            for name, value in {**KEYS, "MLFLOW_S3_ENDPOINT_URL": objects, "MLFLOW_TRACKING_URI": url}.items():
                patch.setenv(name, value)
            yield url
        finally:
            end_groups([process.pid for process in processes], 1)


@pytest.fixture
def guarded(server: str) -> Iterator[str]:
    """The address of a proxy before the server, which passes on what has the password of anna."""
    expected = f"Basic {base64.b64encode(b'anna:secret').decode()}"
    target = server.removeprefix("http://")

    class Proxy(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Authorization") != expected:
                self.send_response(HTTPStatus.UNAUTHORIZED)
                self.end_headers()
                return
            connection = HTTPConnection(target)
            connection.request(self.command, self.path, body, {**self.headers, "Host": target})
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    for method in ("GET", "POST", "PATCH", "DELETE"):
        setattr(Proxy, f"do_{method}", Proxy.pass_on)
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_address[1]}"
        proxy.shutdown()


def _credentials() -> dict[str, str]:
    return {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


def test_a_version_goes_there_and_comes_back_checked(
    server: str, bundle: Path, dataset: DatasetReference, tmp_path: Path
) -> None:
    lake = Lake(tmp_path / "lake")
    store = Registry.open(lake)
    assert store.uri == server
    version = register(store, begin_run(store, uuid.uuid4().hex, "tiny", {}), bundle, dataset, {"run": "r"}, "A card.")
    set_alias(store, version.version, CHAMPION)
    assert not lake.registry_database.exists(), "nothing is kept in the lake"

    other = Lake(tmp_path / "other")
    assert folder_digest(pull(Registry.open(other), find_model(Registry.open(other), CHAMPION))) == folder_digest(
        bundle
    )
    assert load(CHAMPION, lake=other.root).compose(length=40, best_of=1).tokens.size <= 40

    weights = next(other.cache.glob("models/*/artifacts/bundle/model.safetensors"))
    data = weights.read_bytes()
    weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ChangedFile, match=r"model\.safetensors was changed"):
        load(CHAMPION, lake=other.root)


def test_one_that_asks_for_a_password_gets_that_of_mlflow_s_variables(
    guarded: str, other_bundle: Path, dataset: DatasetReference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", guarded)
    with pytest.raises(RegistryError, match=f"{guarded} asks for a password: set MLFLOW_TRACKING_USERNAME"):
        Registry.open(lake)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "anna")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    store = Registry.open(lake)
    model = register(store, begin_run(store, uuid.uuid4().hex, "tiny", {}), other_bundle, dataset, {}, "A card.")
    assert folder_digest(pull(store, model)) == folder_digest(other_bundle)


def test_one_that_does_not_answer_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(RegistryError, match=r"no registry answers at http://127\.0\.0\.1:9: .*refused"):
        Registry.open(Lake(tmp_path))
