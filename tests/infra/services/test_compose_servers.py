"""The servers of infra/compose.yaml, started without containers: its commands, variables and health checks, on a real
PostgreSQL, a real Redis and a real S3-compatible store of this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.lake import Lake
from infra.processes import end_groups
from infra.services.health import free_port
from infra.services.prefect_api import wants_another_password
from infra.services.rest import PrefectAPI
from registry.cards import whole_card
from registry.identity import FILES, folder_digest
from registry.lineage import DatasetReference
from registry.models import find_model
from registry.publishing import register
from registry.pulling import pull_version
from registry.runs import begin_run
from registry.store import Registry

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "infra" / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
POSTGRESQL = next(Path("/usr/lib/postgresql").glob("*/bin"), None)
START_SECONDS = 180.0
FLOW = """
import os, sys
from infra.lake import Lake
from infra.services import library_environment, prefect_server

lake = Lake.at(sys.argv[1])
os.environ.update(library_environment(lake))
with prefect_server(lake):
    from prefect import flow, task

    @task
    def double(number):
        return 2 * number

    @flow(name="doubled")
    def doubled():
        return [double(number) for number in range(3)]

    print(doubled())
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.thorough,
    pytest.mark.skipif(POSTGRESQL is None, reason="PostgreSQL is not installed"),
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="Redis is not installed"),
]


class Site:
    """The services of the compose file at ports of this machine, with drawn secrets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {"postgres": free_port(0), "redis": free_port(0), "prefect": free_port(0), "mlflow": free_port(0)}
        self.ports["objects"] = free_port(0)
        self.processes: list[subprocess.Popen[bytes]] = []

    def here(self, text: str) -> str:
        """A value of the compose file with this site's secrets, addresses and folders."""
        text = re.sub(r"\$\{([A-Z_0-9]+):\?[^}]*\}", lambda found: f"0{found[1].lower()}0", text)
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
        text = text.replace("/tmp/prefect-pages", str(self.folder / "pages")).replace(
            "/lake", str(self.folder / "lake")
        )
        for name, port in self.ports.items():
            text = re.sub(rf"\b{name}:\d+", f"127.0.0.1:{port}", text)
        text = re.sub(r"127\.0\.0\.1:4200", f"127.0.0.1:{self.ports['prefect']}", text)
        return re.sub(r"127\.0\.0\.1:5000", f"127.0.0.1:{self.ports['mlflow']}", text)

    def environment(self, name: str) -> dict[str, str]:
        """The variables of a service, and those of this machine that name no server."""
        own = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_", "AWS_"))}
        given = {key: self.here(str(value)) for key, value in SERVICES[name]["environment"].items()}
        return {**own, "PREFECT_HOME": str(self.folder / "prefect"), **given}

    def start(self, command: list[str], **options: Any) -> None:
        with (self.folder / "log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, cwd="/", **options)
            )

    def serve(self, name: str) -> None:
        """Start a service of the project's image, and wait until its health check passes."""
        program, *words = SERVICES[name]["entrypoint"]
        port = words[words.index("--port") + 1]
        words = [{"0.0.0.0": "127.0.0.1", port: str(self.ports[name])}.get(word, word) for word in words]
        self.start([sys.executable, "-m", program, *words], env=self.environment(name))
        _, _, *check = SERVICES[name]["healthcheck"]["test"]
        self.wait(lambda: subprocess.run([sys.executable, *map(self.here, check)], capture_output=True).returncode == 0)

    def wait(self, is_ready: Callable[[], bool]) -> None:
        ends = time.monotonic() + START_SECONDS
        while not is_ready():
            assert time.monotonic() < ends, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.5)

    def query(self, database: str, statement: str) -> str:
        assert POSTGRESQL is not None
        where = [*("-h", "127.0.0.1", "-p", str(self.ports["postgres"])), *("-U", "musenet", "-d", database)]
        password = {"PGPASSWORD": self.here(SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"])}
        command = [str(POSTGRESQL / "psql"), *where, "-Atc", statement]
        done = subprocess.run(command, env={**os.environ, **password}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A site whose PostgreSQL and Redis run."""
    folder = Path(tempfile.mkdtemp(prefix="musenet-site-"))  # pytest's own folders are closed to PostgreSQL's user
    site = Site(folder)
    try:
        start_postgresql(site)
        start_redis(site)
        yield site
    finally:
        end_groups([process.pid for process in reversed(site.processes)], 10)
        shutil.rmtree(folder, ignore_errors=True)


def start_postgresql(site: Site) -> None:
    """Start what the image of PostgreSQL would: the user, its password, and both databases."""
    assert POSTGRESQL is not None
    user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}  # it refuses to run as root
    site.folder.chmod(0o755)
    data, password = site.folder / "postgresql", site.folder / "password"
    password.write_text(site.here(SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"]))
    data.mkdir()
    if user:
        shutil.chown(data, *user.values())
    login = ["--username=musenet", "--auth=scram-sha-256", f"--pwfile={password}"]
    made = subprocess.run(
        [POSTGRESQL / "initdb", "--pgdata", data, "--no-sync", *login], capture_output=True, text=True, cwd="/", **user
    )
    assert made.returncode == 0, made.stderr
    place = ["-c", f"port={site.ports['postgres']}", "-c", f"unix_socket_directories={data}", "-c", "fsync=off"]
    site.start([str(POSTGRESQL / "postgres"), "-D", str(data), *place], **user)
    ready = [POSTGRESQL / "pg_isready", "-h", "127.0.0.1", "-p", str(site.ports["postgres"])]
    site.wait(lambda: subprocess.run(ready, capture_output=True).returncode == 0)
    site.query("postgres", f"CREATE DATABASE {SERVICES['postgres']['environment']['POSTGRES_DB']}")
    (script,) = (each.partition(":")[0] for each in SERVICES["postgres"]["volumes"] if ".sql" in each)
    site.query("postgres", (ROOT / "infra" / script).read_text(encoding="utf-8"))


def start_redis(site: Site) -> None:
    *shell, script = SERVICES["redis"]["command"]
    own = f"port {site.ports['redis']}\\nbind 127.0.0.1\\ndir {site.folder}"
    environment = site.environment("redis")
    site.start([*shell, script.replace("$$", "$").replace("dir /data", own)], env=environment)
    ping = ["redis-cli", "-p", str(site.ports["redis"]), "ping"]
    site.wait(lambda: subprocess.run(ping, env=environment, capture_output=True, text=True).stdout == "PONG\n")


@pytest.fixture(scope="module")
def prefect(site: Site) -> None:
    site.serve("prefect")


@pytest.mark.usefixtures("prefect")
def test_prefect_keeps_a_flow_run_in_postgresql_and_its_events_in_redis(site: Site) -> None:
    client = site.environment("worker")
    api, password = client["PREFECT_API_URL"], client["PREFECT_API_AUTH_STRING"]
    assert wants_another_password(api, {})
    command = [sys.executable, "-c", FLOW, str(site.folder / "lake")]
    environment = {**client, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=site.folder)
    assert done.stdout == "[0, 2, 4]\n", done.stderr
    (run,) = PrefectAPI(api, password).post("flow_runs/filter", {})
    assert run["state"]["type"] == "COMPLETED"
    assert site.query("prefect", "SELECT state_type FROM flow_run") == "COMPLETED"
    keys = ["redis-cli", "-p", str(site.ports["redis"]), "--raw", "keys", "*"]
    streams = subprocess.run(keys, env=site.environment("redis"), capture_output=True, text=True).stdout
    assert "events" in streams


@pytest.mark.usefixtures("prefect")
def test_the_worker_is_well_once_the_flows_are_deployed(site: Site) -> None:
    program = [sys.executable, "-c", "from flows.cli import main; main()"]
    environment = {**site.environment("worker"), "PYTHONPATH": str(ROOT)}
    command = [*program, *SERVICES["deploy"]["command"]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=site.folder)
    assert done.returncode == 0, done.stderr
    words = [site.here(word) for word in SERVICES["worker"]["command"]]
    site.start([*program, *words], env=environment)
    _, _, *check = SERVICES["worker"]["healthcheck"]["test"]
    site.wait(lambda: subprocess.run([sys.executable, *check], capture_output=True).returncode == 0)


def test_mlflow_keeps_versions_in_postgresql_and_their_files_in_the_store(
    site: Site, tmp_path: Path, make_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.server import ThreadedMotoServer

    store = ThreadedMotoServer("127.0.0.1", site.ports["objects"])
    store.start()
    try:
        making = SERVICES["bucket"]["entrypoint"]
        for _ in range(2):  # the second time it is there
            subprocess.run([sys.executable, *making[1:]], env=site.environment("bucket"), check=True)
        site.serve("mlflow")
        for name, value in site.environment("worker").items():
            if name.startswith(("MLFLOW_", "AWS_")):
                monkeypatch.setenv(name, value)
        bundle, long = make_bundle(), "A card.\n" + "| style | 1.0 |\n" * 500
        registry = Registry.open(Lake(tmp_path / "lake"))
        dataset = DatasetReference("songs", "ab" * 16, "/lake", {})
        made = register(registry, begin_run(registry, "0123456789ab", "tiny", {}), bundle, dataset, {"run": "r"}, long)
        assert site.query("mlflow", "SELECT name, version FROM model_versions") == "musenet|1"
        assert site.query("mlflow", "SELECT artifact_location FROM logged_models").startswith("s3://musenet/mlflow/")

        direct = site.here(SERVICES["mlflow"]["environment"]["MLFLOW_BACKEND_STORE_URI"])
        for uri in (registry.uri, direct):  # by the server, and by the database that it has
            monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
            elsewhere = Registry.open(Lake(tmp_path / uri.partition(":")[0]))
            pulled = pull_version(elsewhere, find_model(elsewhere, made.version))
            assert folder_digest(pulled / FILES) == folder_digest(bundle)
            assert whole_card(elsewhere, made, pulled) == long
    finally:
        store.stop()
