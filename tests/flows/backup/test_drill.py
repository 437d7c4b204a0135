"""The drill: a lake is backed up while it is worked on, restored elsewhere, and the original is lost.

What counts is what people come back for: the same digests, the same models, the same music, the history of runs.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from flows.backup import lake_files
from flows.backup.findings import find_faults
from flows.backup.folder import FolderSource
from flows.backup.restoring import check_backup, restore_backup
from flows.backup.taking import take_backup
from flows.registration.registration import RegisterParameters, register_run
from flows.training.runs import find_run
from infra.files import publish_folder, staging_folder
from infra.lake import Lake
from infra.services.database import create_database, database
from modeling.training.checkpoints.files import remove
from registry.loading import load_composer
from registry.models import find_model
from registry.pulling import is_intact
from registry.runs import MetricRow, begin_run, log_metrics
from registry.store import Registry
from tokenization.dataset import find_version
from tokenization.dataset.shards import TokenFormat, read_shard

pytestmark = pytest.mark.slow

ASKED = {"style": "bach", "length": 40, "best_of": 1, "rank": "none", "seed": 3}
PAUSE_SECONDS = 0.1


@contextmanager
def working(*works: Callable[[int], object]) -> Iterator[None]:
    """Do several things again and again in threads, each call with its number, until the block ends."""
    ended = threading.Event()

    def work(each: Callable[[int], object]) -> None:
        number = 0
        while not ended.is_set():
            each(number := number + 1)
            time.sleep(PAUSE_SECONDS)

    threads = [threading.Thread(target=work, args=(each,)) for each in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_a_lake_that_is_worked_on_comes_back_elsewhere(studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_files, "SETTLED_NS", 0)  # all of it was written just now
    original, dataset, run = studio
    lake = Lake(tmp_path / "first" / "lake")
    shutil.copytree(original.root, lake.root)
    register_run(RegisterParameters(run=run.run_id, alias="candidate", lake=lake.root))
    lake.prefect_home.mkdir(exist_ok=True)
    create_database(lake)
    before = load_composer("candidate", lake.root, "cpu").compose(**ASKED)
    registry = Registry.open(lake)
    training = begin_run(registry, "of the writer", "tiny", {})
    folder = find_run(lake, run.run_id).folder

    def log(step: int) -> None:
        log_metrics(registry, training, [MetricRow(step, float(step), {"loss": 1 / step})])

    def checkpoint(step: int) -> None:
        """Save a checkpoint and remove the one before, as training does, and tell of it."""
        with staging_folder(folder.checkpoints) as staged:
            for name in ("state.pt", "checkpoint.json"):
                (staged / name).write_bytes(f"step {step}".encode() * 1000)
            publish_folder(staged, folder.checkpoints / f"step{step:08d}")
        if step > 1:
            remove(folder.checkpoints / f"step{step - 1:08d}")
        with folder.metrics.open("a") as events:
            events.write(f'{{"event": "checkpoint", "step": {step}}}\n')

    def record(number: int) -> None:
        with closing(sqlite3.connect(database(lake), timeout=60)) as content, content:
            content.execute("INSERT INTO flow (id, name) VALUES (?, ?)", (str(number), f"flow {number}"))

    to, again = tmp_path / "backups", tmp_path / "backup.tar"
    with working(log, checkpoint, record):
        assert take_backup(lake, to).findings == ()
        report = take_backup(lake, to)
        assert take_backup(lake, again).findings == ()
    assert report.copied_bytes < report.bytes, "the second copies what has changed"
    check_backup(again, None, lambda *_: None)

    new = Lake(tmp_path / "second" / "lake")
    restore_backup(to, new, None, lambda *_: None)
    shutil.rmtree(lake.root)

    version = find_version(new, dataset.name)
    assert version.digest == dataset.digest
    tokens = TokenFormat.of(version.encoding)
    assert sum(len(read_shard(version.path / path, tokens)) for path in version.description.shards) > 0
    found = Registry.open(new)
    assert is_intact(found, find_model(found, "candidate"))
    assert load_composer("candidate", new.root, "cpu").compose(**ASKED).midi == before.midi
    assert not lake.root.exists(), "nothing is written where it was"

    history = found.client.get_metric_history(training, "loss")
    assert sorted(metric.step for metric in history) == [*range(1, len(history) + 1)] != []
    with closing(sqlite3.connect(database(new))) as content:
        flows = [int(number) for (number,) in content.execute("SELECT id FROM flow")]
    assert sorted(flows) == [*range(1, len(flows) + 1)] != []
    saved = find_run(new, run.run_id).folder
    steps = sorted(saved.checkpoints.iterdir())
    assert steps, "training has one at any moment"
    for step in steps:
        contents = [file.read_bytes() for file in step.iterdir()]
        assert contents == [f"step {int(step.name[4:])}".encode() * 1000] * 2
    assert f'"step": {int(steps[-1].name[4:]) - 1}}}' in saved.metrics.read_text(), "events reach as far"


def test_a_version_that_mlflow_names_and_that_has_no_files_is_found(studio, tmp_path: Path) -> None:
    original, _, run = studio
    lake = Lake(tmp_path / "lake")
    shutil.copytree(original.root, lake.root)
    register_run(RegisterParameters(run=run.run_id, alias="candidate", lake=lake.root))
    assert take_backup(lake, tmp_path / "backups").findings == ()
    files = FolderSource(tmp_path / "backups", None).contents.files
    without = {path: file for path, file in files.items() if "/models/" not in path}
    (line,) = find_faults(lake.root, without, lake.registry_database)
    assert line.startswith("model version 1 has no files in registry/artifacts/models/m-")
    weights = next(lake.registry_artifacts.glob("models/*/artifacts/artifacts/bundle/model.safetensors"))
    weights.write_bytes(bytes(100))
    (line,) = take_backup(lake, tmp_path / "backups").findings
    assert line == f"{weights.relative_to(lake.root)} is not the file that was published"
