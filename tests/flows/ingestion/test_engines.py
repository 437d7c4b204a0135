"""Engines: whichever one works, and with however many workers, the result is the same and a bad item costs itself.

The clusters are real: Ray is started for the tests, Dask both in this process and as a cluster of its own.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import distributed
import psutil
import pytest

from flows.engines import (
    Engine,
    EngineName,
    Failure,
    JobError,
    WorkerSettings,
    isolation,
    open_engine,
    submission,
)
from flows.engines.dask import event_loop
from flows.ingestion.parsing import ParseLimits
from flows.ingestion.workers import worker_settings
from infra.errors import RunError, UserError
from infra.lake import LAKE_VARIABLE, Lake
from tokenization.dataset import DatasetVersion, dataset_versions

pytestmark = [pytest.mark.slow, pytest.mark.alone]

MUSENET = Path(sys.executable).with_name("musenet")
INGESTION = worker_settings(ParseLimits())
"""Workers that parse and encode files."""


# Set up before any test, which would otherwise take the search path for its own and remove it at its end.
@pytest.fixture(scope="module", autouse=True)
def failing(tmp_path_factory: pytest.TempPathFactory, failing_functions: str) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("failing")
    (folder / "engine_functions.py").write_text(failing_functions)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder))
        yield importlib.import_module("engine_functions")


@pytest.fixture(scope="module")
def quick(failing: Any) -> WorkerSettings:
    """Workers for the failing functions only: they start in a fraction of a second, and items may take three."""
    return WorkerSettings(3.0, 2 * 2**30, failing.ready)


def processes() -> set[int]:
    """Return the pids below this process, without Python's own resource tracker."""
    below = set()
    for child in psutil.Process().children(recursive=True):
        try:
            if child.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in " ".join(child.cmdline()):
                below.add(child.pid)
        except psutil.NoSuchProcess:
            continue
    return below


def nothing_is_left(before: set[int]) -> None:
    deadline = time.monotonic() + 60
    while processes() - before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes() <= before, "processes are left"


def no_folder_is_left() -> None:
    for folder in (tempfile.gettempdir(), "/tmp"):
        assert list(Path(folder).glob(f".staging-{os.getpid()}-*")) == [], "temporary folders are left"


@dataclass(frozen=True)
class Opened:
    """An engine at work."""

    name: str
    engine: Engine


@pytest.fixture(scope="module")
def dask_cluster(failing: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Dask cluster as users have them: a worker below a nanny, with two threads."""
    with started_dask(tmp_path_factory.mktemp("dask"), n_workers=1, threads_per_worker=2) as address:
        yield address


@contextmanager
def started_dask(folder: Path, **settings: Any) -> Iterator[str]:
    """A Dask cluster with its temporary files in a folder."""
    with (
        dask.config.set(temporary_directory=str(folder)),
        event_loop() as loop,
        distributed.LocalCluster(loop=loop, dashboard_address=":0", silence_logs=50, **settings) as cluster,
    ):
        yield cluster.scheduler_address


@pytest.fixture(scope="module", params=["local", "dask", "dask cluster", "ray"])
def opened(request: pytest.FixtureRequest, quick: WorkerSettings) -> Iterator[Opened]:
    """Each engine with two workers."""
    address = request.getfixturevalue("dask_cluster") if request.param == "dask cluster" else None
    before = processes()
    with open_engine(EngineName(request.param.split()[0]), 2, quick, address) as engine:
        yield Opened(request.param, engine)
    nothing_is_left(before)
    no_folder_is_left()


@pytest.fixture(scope="module")
def expected(mixed_songs: Path, ingest_by: Any, tmp_path_factory: pytest.TempPathFactory) -> DatasetVersion:
    """The version that one process makes."""
    with open_engine(EngineName.LOCAL, 1, INGESTION, None) as engine:
        return ingest_by(engine, Lake(tmp_path_factory.mktemp("expected")), mixed_songs)[1].version


def outcomes(engine: Engine, failing: Any, *jobs: list[Any]) -> list[Any]:
    """Run jobs and return the outcomes of the items of each."""
    found: dict[int, Any] = {}
    for index, result in engine.run(failing.act, [failing.Job(tuple(items), {}) for items in jobs]):
        assert index not in found, "a job came back twice"
        found[index] = result
    return [found[index] for index in range(len(jobs))]


def assert_equal(version: DatasetVersion, expected: DatasetVersion) -> None:
    """Compare two versions, to the bytes of their shards."""
    assert version.digest == expected.digest
    assert version.description.outcomes["duplicate: same_bytes"] == 2
    assert version.manifest.equals(expected.manifest)
    assert len(version.description.shards) > 3
    for name in version.description.shards:
        assert (version.path / name).read_bytes() == (expected.path / name).read_bytes()


@pytest.mark.thorough  # `TestEveryEngine` shows that whatever a job gives comes back, and with which index
class TestTheVersion:
    """It is the same from every engine. `TestTheCommand` shows it of Ray, `test_pipeline.py` of two local workers and
    `test_object_store_lake.py` of Dask in this process."""

    def test_of_a_dask_cluster_is_that_of_one_process(
        self, dask_cluster: str, expected: DatasetVersion, mixed_songs: Path, ingest_by: Any, tmp_path: Path
    ) -> None:
        with open_engine(EngineName.DASK, 2, INGESTION, dask_cluster) as engine:
            _, published = ingest_by(engine, Lake(tmp_path), mixed_songs)
        assert_equal(published.version, expected)


class TestEveryEngine:
    def test_brings_every_job_back_with_its_index(self, opened: Opened, failing: Any) -> None:
        jobs = [[number, number + 1] for number in range(30)]
        assert outcomes(opened.engine, failing, *jobs) == [[2 * item for item in items] for items in jobs]
        assert outcomes(opened.engine, failing) == []

    def test_loses_only_the_item_that_ends_its_process(self, opened: Opened, failing: Any) -> None:
        found = outcomes(opened.engine, failing, [1, 2], [3, "crash", 4], [5, "crash"])
        assert found == [[2, 4], [6, Failure.CRASHED, 8], [10, Failure.CRASHED]]

    def test_loses_only_the_item_that_hangs(self, opened: Opened, failing: Any) -> None:
        if opened.name in ("dask cluster", "ray"):  # the others are slower to try than they differ
            assert outcomes(opened.engine, failing, [1, "hang", 3]) == [[2, Failure.TIMED_OUT, 6]]

    def test_says_an_error_in_its_own_words_and_goes_on(self, opened: Opened, failing: Any) -> None:
        with pytest.raises(JobError, match=r"^ValueError: the disk is full$"):
            outcomes(opened.engine, failing, [1], ["raise"], [2])
        assert outcomes(opened.engine, failing, [4]) == [[8]]

    def test_works_in_other_processes_and_keeps_them(self, opened: Opened, failing: Any) -> None:
        pids = {pid for pids in outcomes(opened.engine, failing, *[["which"]] * 20) for pid in pids}
        assert 1 <= len(pids) <= 2
        assert os.getpid() not in pids

    def test_may_be_left_in_the_middle(self, opened: Opened, failing: Any) -> None:
        results = iter(opened.engine.run(failing.act, [failing.Job((number,), {}) for number in range(20)]))
        next(results)
        results.close()  # type: ignore[attr-defined]
        assert outcomes(opened.engine, failing, [4]) == [[8]]


@pytest.mark.thorough
class TestTheCommand:
    def test_is_quiet_with_ray(self, expected: DatasetVersion, mixed_songs: Path, tmp_path: Path) -> None:
        """No banner, warning or traceback; `test_object_store_lake` shows it of Dask. The version is as expected."""
        environment = {**os.environ, LAKE_VARIABLE: str(tmp_path / "lake"), "HOME": str(tmp_path / "home")}
        (tmp_path / "home").mkdir()
        words = ["ingest", str(mixed_songs), "--licence", "CC0", "--name", "songs", "--set", "partition_files=16"]
        command = [str(MUSENET), *words, "--engine", "ray", "--workers", "2"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"dataset songs@{expected.digest[:12]} ")
        (version,) = dataset_versions(Lake(tmp_path / "lake"), "songs")
        assert_equal(version, expected)
        stages = [line.split()[:2] for line in done.stderr.splitlines()]
        assert [sign for sign, _ in stages] == ["✓"] * 6, done.stderr
        assert [path.name for path in (tmp_path / "home").iterdir()] == [], "something is written to the home folder"


class TestWhatCannotBeOpened:
    @pytest.mark.parametrize(("engine", "package"), [("ray", "ray"), ("dask", "distributed"), ("dask", "dask")])
    def test_an_engine_without_its_package(self, engine: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, f"flows.engines.{engine}", raising=False)
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(
            UserError, match=rf"^the engine {engine} needs its package: pip install 'musenet\[{engine}\]'$"
        ):
            open_engine(EngineName(engine), 1, INGESTION, None)

    def test_a_defect_is_not_taken_for_a_missing_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "flows.engines.dask", raising=False)
        monkeypatch.setitem(sys.modules, "flows.engines.isolation", None)
        with pytest.raises(ModuleNotFoundError):
            open_engine(EngineName.DASK, 1, INGESTION, None)

    @pytest.mark.parametrize(
        ("engine", "address", "words"),
        [
            ("ray", "127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1; give its address as HOST:PORT"),
            ("ray", "nowhere", "no Ray cluster answers at nowhere; give its address as HOST:PORT"),
            ("dask", "127.0.0.1:1", "no Dask scheduler answers at 127.0.0.1:1; give its address as tcp://HOST:PORT"),
            ("dask", "foo:bar", "no Dask scheduler answers at foo:bar; give its address as tcp://HOST:PORT"),
        ],
    )
    def test_a_cluster_that_does_not_answer(
        self,
        engine: str,
        address: str,
        words: str,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr("flows.engines.dask.ANSWER_SECONDS", 1)
        begun = time.monotonic()
        with pytest.raises(UserError) as raised, _opened(EngineName(engine), address):
            pass
        assert time.monotonic() - begun < 15
        assert (str(raised.value), capfd.readouterr()) == (words, ("", ""))

    def test_a_ray_that_does_not_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def time_out(*_: Any, **__: Any) -> None:
            raise Exception("The current node timed out\nduring startup.")

        monkeypatch.setattr("ray.init", time_out)
        words = "^Ray did not start on this machine: The current node timed out during startup.; run again, or with "
        with pytest.raises(RunError, match=words), open_engine(EngineName.RAY, 1, INGESTION, None):
            pass

    def test_a_dask_cluster_without_workers(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr("flows.engines.dask.ANSWER_SECONDS", 1)
        with started_dask(tmp_path, n_workers=0) as address:  # noqa: SIM117
            with pytest.raises(UserError, match=f"{address} has no worker"), _opened(EngineName.DASK, address):
                pass


def _opened(name: EngineName, address: str) -> Any:
    return open_engine(name, 1, INGESTION, address)


class TestSubmitting:
    @pytest.mark.parametrize("slots", [0, 1, 3])
    def test_is_some_jobs_ahead_and_no_more(self, slots: int) -> None:
        submitted: list[int] = []
        most = 0

        def first(waiting: list[int]) -> int:
            nonlocal most
            most = max(most, len(waiting))
            return waiting[-1]

        def submit(job: Any) -> int:
            submitted.append(job)
            return int(job)

        jobs: Any = list(range(100))
        done = list(submission.submit_ahead(jobs, lambda: slots, submit, first))
        assert sorted(done) == [(job, job) for job in jobs]
        assert submitted == jobs
        assert most == submission.AHEAD * max(1, slots)

    def test_follows_a_growing_cluster(self) -> None:
        sizes = iter([1, 5, 5])
        waiting: list[int] = []

        def first(pending: list[int]) -> int:
            waiting.append(len(pending))
            return pending[0]

        jobs: Any = list(range(100))
        submit: Callable[[Any], int] = int
        list(submission.submit_ahead(jobs, lambda: next(sizes, 5), submit, first))
        assert waiting[:2] == [submission.AHEAD, 5 * submission.AHEAD]


class TestAProcessOfAClustersWorker:
    def test_stays_for_its_run_only(self, failing: Any, quick: WorkerSettings) -> None:
        before = processes()
        job = failing.Job(("which",), {})
        first, again = (isolation.run_isolated("mine", failing.act, job, quick) for _ in range(2))
        (other,) = isolation.run_isolated("other", failing.act, job, quick)
        assert first == again != [other]
        isolation.release("mine")
        assert processes() - before == {other}
        isolation.release("other")
        assert processes() == before

    def test_ends_when_its_run_is_gone(
        self, failing: Any, quick: WorkerSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(isolation, "IDLE_SECONDS", 0.3)
        before = processes()
        isolation.run_isolated("killed", failing.act, failing.Job((1,), {}), quick)
        nothing_is_left(before)
