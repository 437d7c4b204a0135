"""The servers are started for real: what matters is what they leave in the database, and behind."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra import services
from infra.lake import Lake
from infra.services import environment, health
from infra.services import servers as background
from infra.services.automations import install
from infra.services.liveness import alive, dead_run_automations, report_dead_runs
from infra.services.password import read_password
from infra.services.rest import PrefectAPI

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[3]

COMMAND = """
import os, signal, sys, time
from infra.services import library_environment, prefect_server
from infra.services.liveness import alive
from infra.lake import Lake

lake, tasks, ending = Lake.at(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
os.environ.update(library_environment(lake))
try:
    with prefect_server(lake):
        from prefect import flow, task
        from prefect.runtime import flow_run

        @task
        def double(number):
            return 2 * number

        @task
        def end():
            if ending == "fails":
                raise ValueError("a bad piece")
            if ending == "waits":
                print("waiting", flush=True)
                time.sleep(600)

        @flow(name=ending)
        def count():
            with alive(lake, str(flow_run.id)):
                for number in range(tasks):
                    double(number)
                end()

        count()
except KeyboardInterrupt:
    sys.exit(130)
except ValueError as error:
    print(error)
    sys.exit(1)
"""


def command(lake: Lake, tasks: int, ending: str) -> subprocess.Popen[str]:
    """A process that runs a flow on a Prefect server of the lake."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(lake.root), str(tasks), ending],
        env={**environment, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_until_it_waits(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"


def recorded(lake: Lake, flow: str) -> tuple[list[str], dict[str, int]]:
    """The states of a flow's runs, and how many of their task runs are in each state."""
    with sqlite3.connect(lake.prefect_home / "prefect.db") as database:
        runs = database.execute(
            "SELECT f.state_name FROM flow_run f JOIN flow ON flow.id = f.flow_id WHERE flow.name = ?",
            (flow,),
        ).fetchall()
        tasks = database.execute(
            "SELECT t.state_name, count(*) FROM task_run t JOIN flow_run f ON f.id = t.flow_run_id"
            " JOIN flow ON flow.id = f.flow_id WHERE flow.name = ? GROUP BY 1",
            (flow,),
        ).fetchall()
    return [state for (state,) in runs], dict(tasks)


def servers(lake: Lake) -> list[int]:
    """The pids of every process that works in the lake's folder of services."""
    pids = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == lake.services:
                pids.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return pids


def wait_until_no_server(lake: Lake) -> None:
    deadline = time.monotonic() + 60
    while servers(lake):
        assert time.monotonic() < deadline, "a server outlives the command that started it"
        time.sleep(0.1)


def page(url: str, accept: str = "text/html") -> str:
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept})) as response:
        return str(response.read().decode())


def answer(url: str, body: str | None = None, **headers: str) -> tuple[int, str | None]:
    """Status, and the origin whose pages may read the answer."""
    request = urllib.request.Request(url, None if body is None else body.encode(), headers)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.headers["Access-Control-Allow-Origin"]
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Access-Control-Allow-Origin"]


def assert_closed_to_strangers(prefect: str, mlflow: str) -> None:
    """Neither pages of other sites nor a name that was made to mean this machine get at the servers."""
    elsewhere, flows = "https://elsewhere.example", f"{prefect}/api/flows/filter"
    assert answer(flows, "{}", Origin=elsewhere) == (401, None), "no password, and no word to that page"
    assert answer(flows, "{}", Authorization="Basic bXVzZW5ldDpndWVzcw==")[0] == 401
    assert answer(f"{prefect}/api/health", Origin=prefect) == (200, prefect), "its own pages ask its API"
    assert answer(f"{prefect}/api/health", Origin=elsewhere) == (200, None)
    search, every = f"{mlflow}/api/2.0/mlflow/experiments/search", json.dumps({"max_results": 1})
    assert answer(search, every, **{"Content-Type": "application/json"})[0] == 200
    assert answer(search, every, Origin=elsewhere)[0] == 403
    for url in (f"{prefect}/api/health", search):
        assert answer(url, Host="elsewhere.example")[0] in (400, 403)
        assert answer(url, Host="192.168.0.7:5000")[0] in (400, 403)


def assert_the_dead_are_reported(lake: Lake, prefect: PrefectAPI) -> None:
    """The command that was killed has left its flow run Running."""
    assert sorted(recorded(lake, "waits")[0]) == ["Crashed", "Running"]
    ((dead, was_shown_as_running),) = report_dead_runs(lake, prefect).items()
    assert was_shown_as_running
    run = prefect.get(f"flow_runs/{dead}")
    assert (run["name"] != "", run["state"]["message"]) == (True, "its process was killed, and could not say so")
    assert recorded(lake, "waits")[0] == ["Crashed", "Crashed"]
    assert report_dead_runs(lake, prefect) == {}, "once"
    with alive(lake, dead):
        assert report_dead_runs(lake, prefect) == {}, "this process lives"
    for automation in dead_run_automations():
        assert str(install(prefect, automation)) == "as it was, on", "`up` has installed it"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    yield lake
    services.down(lake)


def test_two_commands_at_once_on_a_new_lake_record_every_task_a_failure_and_ctrl_c(lake: Lake) -> None:
    fails, waits = command(lake, 30, "fails"), command(lake, 3, "waits")
    wait_until_it_waits(waits)
    assert fails.communicate(timeout=600) == ("a bad piece\n", "")
    os.killpg(waits.pid, signal.SIGINT)
    assert waits.communicate(timeout=300) == ("", "")
    assert (fails.returncode, waits.returncode) == (1, 130)
    assert recorded(lake, "fails") == (["Failed"], {"Completed": 30, "Failed": 1})
    assert recorded(lake, "waits") == (["Crashed"], {"Completed": 3, "Crashed": 1})
    assert servers(lake) == []


def test_a_killed_command_leaves_no_server(lake: Lake) -> None:
    process = command(lake, 0, "waits")
    wait_until_it_waits(process)
    assert len(servers(lake)) == 1
    process.kill()
    process.communicate()
    wait_until_no_server(lake)


def test_up_serves_pages_and_commands_until_down(lake: Lake) -> None:
    started = services.up(lake)
    assert [(service.name, service.running, service.changed) for service in started] == [
        ("prefect", True, True),
        ("mlflow", True, True),
    ]
    assert services.up(lake) == services.status(lake) == [dataclasses.replace(s, changed=False) for s in started]
    json.dumps([dataclasses.asdict(service) for service in started])

    prefect, mlflow = (str(service.url) for service in started)
    assert json.loads(page(f"{prefect}/ui-settings", "*/*"))["api_url"] == f"{prefect}/api"
    assert_closed_to_strangers(prefect, mlflow)
    for url in (prefect, mlflow):
        (script,) = re.findall(r'<script[^>]+src="([^"]+\.js)"', page(url))[:1]
        assert len(page(f"{url}/{script.lstrip('/')}", "*/*")) > 100_000

    assert_the_dead_are_reported(lake, PrefectAPI(f"{prefect}/api", read_password(lake)))

    before = servers(lake)
    process = command(lake, 5, "waits")
    wait_until_it_waits(process)
    assert servers(lake) == before, "the command starts a server though one runs"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=300)

    assert [(service.running, service.changed) for service in services.down(lake)] == [(False, True)] * 2
    tasks = recorded(lake, "waits")[1]
    assert tasks["Completed"] == 8
    assert set(tasks) == {"Completed", "Crashed"}
    assert servers(lake) == []
    assert [(service.running, service.changed) for service in services.down(lake)] == [(False, False)] * 2


def test_a_server_that_ends_at_once_is_an_error_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(tmp_path)
    monkeypatch.setattr(background, "server_command", lambda *_: [sys.executable, "-c", "raise SystemExit('no luck')"])
    with pytest.raises(services.ServiceError, match=r"ended as it started \(code 1\): see .*\.log") as error:
        services.up(lake)
    assert not any(service.running for service in services.status(lake))
    assert "no luck" in Path(str(error.value).rpartition("see ")[2]).read_text()


def test_another_server_on_the_port_is_not_taken_for_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(tmp_path)
    monkeypatch.setattr(health, "answers", lambda *_: True)
    monkeypatch.setattr(background, "server_command", lambda *_: [sys.executable, "-c", "raise SystemExit(1)"])
    with pytest.raises(services.ServiceError, match="ended as it started"):
        services.up(lake)


def test_a_server_whose_port_was_taken_meanwhile_is_started_on_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path)
    monkeypatch.setattr(background, "own_servers", lambda _: {"mlflow"})
    with socket.create_server((environment.HOST, 0)) as other:
        taken = other.getsockname()[1]
        addresses = iter([f"http://{environment.HOST}:{taken}"])
        monkeypatch.setattr(background, "address", lambda port: next(addresses, None) or health.address(port))
        (mlflow,) = (each for each in services.up(lake) if each.name == "mlflow")
        assert mlflow.running and mlflow.url != f"http://{environment.HOST}:{taken}"
    services.down(lake)


def test_an_api_that_does_not_answer_is_named_before_any_flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    named = r"no Prefect API answers at http://127\.0\.0\.1:9/api \(\$PREFECT_API_URL\): .*refused"
    with pytest.raises(services.ServiceError, match=named), services.prefect_server(Lake(tmp_path)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_goes_on_without_an_api_is_told_why_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with services.reachable_server(Lake(tmp_path)) as problem:
        assert "no Prefect API answers at http://127.0.0.1:9/api" in str(problem)
        assert "PREFECT_API_URL" not in os.environ
    assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:9/api"
    monkeypatch.delenv("PREFECT_API_URL")
    with services.reachable_server(Lake(tmp_path)) as problem:
        assert problem is None and "PREFECT_API_URL" not in os.environ
    assert list(tmp_path.iterdir()) == []


def test_a_registry_elsewhere_gets_no_server_of_the_lake_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert background.own_servers(Lake(tmp_path)) == {"prefect"}
    mlflow = next(service for service in services.status(Lake(tmp_path)) if service.name == "mlflow")
    assert (mlflow.url, mlflow.running, mlflow.pid) == ("http://127.0.0.1:9", False, None)
