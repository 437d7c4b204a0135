"""Tables of requests on every engine, and after a run was killed: each row has one piece, and always the same one."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from flows.engines import EngineName, open_engine
from flows.sampling.compose_job import worker_settings
from flows.sampling.export import export
from flows.sampling.request_table import RequestRow
from flows.sampling.table_run import TableRun, find_samples
from registry.composer import Composer
from registry.requests import PieceRequest

pytestmark = pytest.mark.slow

ROWS = [RequestRow(number, PieceRequest(style="bach", seed=number, length=96, best_of=1)) for number in range(1, 9)]
KILLED = """
import sys
from pathlib import Path

from flows.engines import EngineName, open_engine
from flows.sampling.compose_job import worker_settings
from flows.sampling.table_run import TableRun
from registry.composer import Composer
from registry.identity import ModelIdentity
from tests.flows.sampling.test_table_engines import ROWS

if __name__ == "__main__":
    bundle, folder = map(Path, sys.argv[1:])
    composer = Composer(bundle, ModelIdentity.of_files(bundle))
    table = TableRun(composer, folder, ROWS)
    table.prepare()
    with open_engine(EngineName.LOCAL, 1, worker_settings(composer, 600.0), None) as engine:
        table.compose(engine, lambda *_: None)
"""


def work_through(engine: str, composer: Composer, folder: Path) -> tuple[int, pl.DataFrame]:
    """Work through the table; return the number of pieces that were composed, and the index."""
    table = TableRun(composer, folder, ROWS)
    table.prepare()
    with open_engine(EngineName(engine), 1, worker_settings(composer, 600.0), None) as opened:
        composed = table.compose(opened, lambda *_: None)
    table.write_index(folder / "t.index.parquet")
    again = TableRun(composer, folder, ROWS)
    again.prepare()
    assert not again.pending, "nothing is left to be done"
    return composed, pl.read_parquet(folder / "t.index.parquet")


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("*.mid")}


@pytest.fixture(scope="module")
def expected(composer: Composer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The pieces of the rows, one after the other without workers, in the order of the rows."""
    folder = tmp_path_factory.mktemp("expected")
    requests = [row.request for row in ROWS if row.request is not None]
    files = [Path(export(composer.answer(request), folder).midi) for request in requests]
    return {file.name: file.read_bytes() for file in files}


def is_whole(index: pl.DataFrame, folder: Path, expected: dict[str, bytes]) -> bool:
    """True if every row is done, by its own piece."""
    done = index["status"].to_list() == ["done"] * len(ROWS)
    return done and index["midi"].to_list() == list(expected) and files_of(folder) == expected


@pytest.mark.thorough  # `test_table_run.py` shows that work that was done is found, and only whole samples are
def test_a_killed_run_goes_on_without_lost_or_doubled_rows(
    composer: Composer, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    folder = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, str(composer.files), str(folder)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3]) as running:
        deadline = time.monotonic() + 300
        while len(find_samples(folder)) < 2 and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        running.kill()
    there = len(find_samples(folder))
    assert 2 <= there < len(ROWS), "the run was killed on its way"

    composed, index = work_through("local", composer, folder)
    assert len(ROWS) - there - 1 <= composed <= len(ROWS) - there, "its worker may have ended the piece it was at"
    assert is_whole(index, folder, expected)
    assert not [*folder.glob(".*")], "nothing half written is left"


@pytest.mark.alone
@pytest.mark.thorough  # `ingestion/test_engines.py` shows of every engine that it does any job as this machine does
@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_clusters_compose_what_this_machine_does(
    engine: str, composer: Composer, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    composed, index = work_through(engine, composer, tmp_path)
    assert composed == len(ROWS)
    assert is_whole(index, tmp_path, expected)
