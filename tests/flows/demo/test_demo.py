"""The whole way, as a new user goes it: the installed command, from the model it begins with to new pieces.

A very small model in place of the starter model, and few steps: what counts is that every stage really runs, leaves
what it promises and nothing else, and can be interrupted.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.ingestion.starter import classical
from flows.ingestion.starter.works import COMPOSERS
from flows.registration.registration import RegisterParameters, register_run
from flows.starter_model.recipe import TOKENS
from flows.training.runs import Run
from infra.lake import LAKE_VARIABLE, Lake
from infra.services import password_file
from registry.models import find_model, list_models
from registry.store import Registry
from registry.transfer import export_version
from tokenization.dataset import DatasetVersion
from tokenization.dataset.manifest import read_manifest
from tokenization.midi import read_midi

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MUSENET = Path(sys.executable).with_name("musenet")
QUICK = {
    "training.batch_size": 2,
    "training.micro_batch_size": 2,
    # The parent has random weights, which a few gentle steps would hardly change.
    "training.learning_rate": 3e-3,
    "training.muon_learning_rate": 3e-3,
}
STAGES = ["starter", "ingest", "train", "critic", "register", "evaluate", "gate", "sample"]


SECRETS = {
    "HF_TOKEN": "planted-hub",
    "AWS_SECRET_ACCESS_KEY": "planted-store",
    "OPENAI_API_KEY": "planted-api",
    "MLFLOW_TRACKING_PASSWORD": "planted-registry",
    "PREFECT_API_KEY": "planted-cloud",
    "DATABASE_PASSWORD": "planted-database",
    "NCCL_TOKEN": "planted-network",
}


def arguments(**settings: int) -> list[str]:
    changes = {**QUICK, **{f"training.{key}": value for key, value in settings.items()}}
    return [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]


def watched(lake: Lake) -> dict[str, str]:
    """The variables by which flows leave figures and log lines, beside the lake."""
    beside = lake.root.parent
    return {"MUSENET_METRICS": str(beside / "figures"), "MUSENET_LOG": str(beside / "log.jsonl")}


def start(lake: Lake, *words: str) -> subprocess.Popen[str]:
    """The command as a terminal starts it: a process group of its own."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_"))}
    return subprocess.Popen(
        [MUSENET, *words],
        env={**environment, **SECRETS, **watched(lake), LAKE_VARIABLE: str(lake.root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def processes(lake: Lake) -> list[str]:
    """Whatever runs with this lake in its environment: servers, launchers, ranks, workers."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(LAKE_VARIABLE) == str(lake.root) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, song: Callable[[int], bytes]) -> Iterator[Lake]:
    """A lake with nothing but the classical pieces. Tunes stand for them: to convert all scores takes a minute and a
    half of a processor, and `ingestion/starter/test_classical.py` converts some."""
    lake = Lake(tmp_path_factory.mktemp("demo") / "lake")
    folder = lake.cache / "starter" / classical.cache_name()
    works = [folder / composer.style / work.midi_name for composer in COMPOSERS for work in composer.works]
    for seed, work in enumerate(works):
        work.parent.mkdir(parents=True, exist_ok=True)
        work.write_bytes(song(seed))
    yield lake
    assert processes(lake) == []


@pytest.fixture(scope="module")
def model(
    tmp_path_factory: pytest.TempPathFactory,
    songs_folder: Path,
    ingest: Callable[..., DatasetVersion],
    finish_run: Callable[..., Run],
    make_registry: Callable[[Lake], Registry],
) -> Path:
    """An exported model with random weights, which knows the styles bach and jazz."""
    home = tmp_path_factory.mktemp("model")
    lake = Lake(home / "lake")
    registry = make_registry(lake)
    run = finish_run(lake, ingest(lake, "songs", songs_folder, tokens=TOKENS))
    version = register_run(RegisterParameters(run=run.run_id, lake=lake.address)).version
    export_version(registry, find_model(registry, version), home / "model.tar", half=True)
    return home / "model.tar"


@pytest.fixture(scope="module")
def words(model: Path) -> tuple[str, ...]:
    """The demo's command line, without the settings of training."""
    return ("demo", "--from", str(model), "--seconds", "5")


@pytest.fixture(scope="module")
def demo(lake: Lake, words: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    """The demo's report and what it said on standard error."""
    process = start(lake, *words, *arguments(steps=4), "--json")
    output, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    return json.loads(output), errors


def noise(lines: list[str]) -> list[str]:
    """The lines that are not the project's own: warnings and log lines of libraries, and tracebacks."""
    return [line for line in lines if not line.strip() or re.search(r"Traceback|Warning|WARNING|INFO|^\s|^\[", line)]


def made(demo: tuple[dict[str, Any], str], stage: str) -> dict[str, Any]:
    return next(report for report in demo[0]["stages"] if report["name"] == stage)


class TestTheDemo:
    def test_says_what_it_does_and_nothing_else(self, demo: tuple[dict[str, Any], str]) -> None:
        lines = demo[1].splitlines()
        assert noise(lines) == []
        assert re.fullmatch(r"hear it, .* while the rest goes on: \S+ studio", lines[1]), "from the first minute"
        assert [report["name"] for report in demo[0]["stages"]] == STAGES
        assert not any(report["reused"] for report in demo[0]["stages"])
        assert all(report["seconds"] > 0 for report in demo[0]["stages"])

    def test_leaves_no_process(self, demo: tuple[dict[str, Any], str], lake: Lake) -> None:
        assert processes(lake) == []

    def test_ingests_all_starter_music(self, demo: tuple[dict[str, Any], str]) -> None:
        folder = Path(made(demo, "ingest")["where"])
        manifest = read_manifest(folder / "manifest.parquet")
        assert set(manifest["collection"]) == {"freedoom", "classical"}
        assert len(manifest.filter(manifest["collection"] == "freedoom")) == 67
        assert {"bach", "game", "joplin"} <= set(manifest["style"])
        assert (manifest["status"] == "accepted").sum() > 100

    def test_trains_the_model_it_was_asked_for(self, demo: tuple[dict[str, Any], str]) -> None:
        folder = Path(made(demo, "train")["where"])
        reports = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        steps = [report for report in reports if report["event"] == "step"]
        assert [report["step"] for report in steps] == [1, 2, 3, 4]
        assert all(5 < report["loss"] < 12 for report in steps)
        assert json.loads((folder / "run.json").read_text())["config"]["parent"]["name"] == "version 1"
        assert re.fullmatch(r"4 steps further, \d+\.\d\d nats/note held out", made(demo, "train")["made"])

    def test_trains_a_critic_and_archives_its_generations(self, demo: tuple[dict[str, Any], str], lake: Lake) -> None:
        folder = Path(made(demo, "critic")["where"])
        report = json.loads((folder / "report.json").read_text())
        assert 0 <= report["auc"] <= 1
        assert report["held_out_windows"] >= 4
        archives = {path.name for path in lake.archive.rglob("*.parquet")}
        assert {"round0.parquet", "calibration.parquet", "test.parquet"} <= archives

    def test_leaves_figures_and_log_lines_of_each_flow(self, demo: tuple[dict[str, Any], str], lake: Lake) -> None:
        figures = {path.name for path in Path(watched(lake)["MUSENET_METRICS"]).iterdir()}
        stages = ("demo", "ingest", "train", "critic", "register", "evaluate", "promote", "sample")
        assert figures >= {f"musenet_flow_{stage}_completed.prom" for stage in stages}
        assert figures >= {"musenet_dataset_starter.prom", "musenet_training_starter_tiny.prom"}
        lines = [json.loads(line) for line in Path(watched(lake)["MUSENET_LOG"]).read_text().splitlines()]
        assert {line["flow"] for line in lines} >= {"ingest", "train", "critic", "sample"}
        digest, run = (Path(made(demo, stage)["where"]).name for stage in ("ingest", "train"))
        (begin,) = (line for line in lines if re.fullmatch(r"training .*: begins", line["message"]))
        assert (begin["run"], begin["reads"]) == (run, [f"datasets/starter@{digest}", "models/musenet@1"])

    def test_registers_both_models_with_their_lineage(self, demo: tuple[dict[str, Any], str], lake: Lake) -> None:
        registry = Registry.open(lake)
        first, second = list_models(registry)
        digest = Path(made(demo, "ingest")["where"]).name
        assert "starter" in first.aliases
        assert (second.version, second.dataset, second.tags["parent"]) == ("2", f"starter@{digest}", "1")
        run = registry.client.get_run(second.run_id)
        assert run.info.status == "FINISHED"
        assert [(i.dataset.name, i.dataset.digest) for i in run.inputs.dataset_inputs] == [("starter", digest)]
        assert {"loss", "validation_nats_per_note", "critic_auc"} <= run.data.metrics.keys()

    def test_compares_both_and_makes_the_better_one_champion(
        self, demo: tuple[dict[str, Any], str], lake: Lake
    ) -> None:
        figures = re.match(r"(\S+) → (\S+) nats/note, (\S+) → (\S+) × the distance", made(demo, "evaluate")["made"])
        assert figures is not None
        before, after = map(float, figures.group(1, 2))
        assert after < before, "four steps from random weights"
        assert Path(made(demo, "evaluate")["where"]).read_text().startswith("<!doctype html>")
        champion = find_model(Registry.open(lake), "champion").version
        passed = json.loads(find_model(Registry.open(lake), "2").tags["gate"])["outcome"] == "passed"
        said = f"version {champion} is champion" if passed else f"version {champion} stays champion"
        assert (champion, made(demo, "gate")["made"]) == ("2" if passed else "1", said)
        assert demo[0]["champion"] == champion

    def test_composes_pieces_that_know_where_they_came_from(self, demo: tuple[dict[str, Any], str]) -> None:
        styles = []
        for piece in demo[0]["pieces"]:
            about = json.loads(Path(piece["metadata"]).read_text())
            styles.append(about["request"]["style"])
            assert about["model"]["version"] == demo[0]["champion"]
            assert len(read_midi(Path(piece["midi"]).read_bytes())) == piece["notes"] > 0
            assert Path(piece["picture"]).read_bytes().startswith(b"\x89PNG")
            assert Path(piece["audio"]).suffix == ".mp3"
            assert Path(piece["text"]).read_text().startswith(f"{styles[-1]} ")
        assert styles == ["bach", "mozart", "joplin", "game"]

    def test_writes_nothing_outside_the_lakes_folders(self, demo: tuple[dict[str, Any], str], lake: Lake) -> None:
        below = {path.name for path in lake.root.iterdir()}
        assert below <= {
            "archive",
            "cache",
            "datasets",
            "evaluations",
            "locks",
            "pieces",
            "prefect",
            "registry",
            "runs",
            "samples",
            "services",
        }
        assert not list(lake.root.rglob(".staging-*"))

    def test_writes_no_secret_to_disk(self, demo: tuple[dict[str, Any], str], lake: Lake) -> None:
        """Neither those in the environment nor the servers' password, in any file, log or database."""
        password = password_file(lake).read_text().strip()
        secrets = [secret.encode() for secret in (*SECRETS.values(), password, password.partition(":")[2])]
        files = [path for path in lake.root.rglob("*") if path.is_file() and path != password_file(lake)]
        assert {"train.log", "prefect.db", "mlflow.db", "prefect-private.log"} <= {path.name for path in files}
        assert [(path, secret) for path in files for secret in secrets if secret in path.read_bytes()] == []


# `ingestion/test_flow.py` shows that an ingestion finds its work done, `training/test_launcher.py` that training stops
# and saves, `infra/services/test_servers.py` that Ctrl-C leaves no server.
@pytest.mark.thorough
@pytest.mark.usefixtures("demo")
class TestASecondDemo:
    def test_reuses_what_has_not_changed_and_stops_where_it_goes_on(self, lake: Lake, words: tuple[str, ...]) -> None:
        """With other settings of training, in which it is interrupted."""
        before = {path.name for path in lake.runs.iterdir()}
        process = start(lake, *words, *arguments(steps=100_000, checkpoint_every=5))
        deadline = time.monotonic() + 400
        while not (found := [p for p in lake.runs.glob("*/metrics.jsonl") if p.parent.name not in before]) or (
            '"checkpoint"' not in found[0].read_text()
        ):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "no step in six minutes"
            time.sleep(0.2)
        assert len(processes(lake)) >= 4, "command, server, launcher and rank"
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=300)
        assert (process.returncode, output) == (130, "")
        assert processes(lake) == []
        *lines, line, last = errors.splitlines()
        assert last.startswith("musenet: interrupted; finished work is kept")
        assert noise(lines) == []
        assert "ingestion: nothing changed" in "\n".join(lines)
        said = re.fullmatch(
            r"✓ training stopped at step ([\d,]+), which is saved; the same command goes on from it", line
        )
        assert said is not None, errors
        assert (found[0].parent / "checkpoints" / f"step{int(said[1].replace(',', '')):08}").is_dir()
        assert not (found[0].parent / "model").exists()
