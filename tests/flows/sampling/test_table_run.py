"""A table of requests: every row accounted for, nothing made twice, and the bytes of a single sample."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from flows.engines import Engine, EngineName, Failure, open_engine
from flows.sampling.compose_job import ComposeJob, compose_piece, worker_settings
from flows.sampling.export import export
from flows.sampling.request_table import RequestRow
from flows.sampling.table_run import INDEX_SCHEMA, TableRun, find_samples
from registry.composer import Composer
from registry.requests import PieceRequest

SHORT = {"length": 32, "best_of": 1}
ROWS = [
    RequestRow(1, PieceRequest(style="bach", seed=1, **SHORT)),  # type: ignore[arg-type]
    RequestRow(2, PieceRequest(style="polka", **SHORT)),  # type: ignore[arg-type]
    RequestRow(3, PieceRequest(style="jazz", instruments=("piano", "bass"), **SHORT)),  # type: ignore[arg-type]
    RequestRow(4, PieceRequest(style="bach", seed=1, **SHORT)),  # type: ignore[arg-type]
    RequestRow(5, None, "temperature = 'hot': Input should be a valid number"),
]


def run(engine: Engine, composer: Composer, folder: Path) -> tuple[int, pl.DataFrame]:
    """Work through the table; return the number of pieces that were composed, and the index."""
    table = TableRun(composer, folder, ROWS)
    table.prepare()
    composed = table.compose(engine, lambda *_: None)
    table.write_index(folder / "t.index.parquet")
    return composed, pl.read_parquet(folder / "t.index.parquet")


@pytest.mark.slow
def test_all_rows_are_in_the_index_and_done_work_is_not_done_again(composer: Composer, tmp_path: Path) -> None:
    settings = worker_settings(composer, 600.0)
    with open_engine(EngineName.LOCAL, 1, settings, None) as engine:
        composed, index = run(engine, composer, tmp_path)
        assert composed == 2, "equal requests are one piece"
        (tmp_path / index["midi"][2]).rename(tmp_path / "kept.mid")  # as if the run had been killed before
        composed, again = run(engine, composer, tmp_path)
        assert composed == 1
        assert again.equals(index)
        assert run(engine, composer, tmp_path)[0] == 0
    assert index["status"].to_list() == ["done", "failed", "done", "done", "failed"]
    assert index["error"].to_list()[1] == "no style 'polka'; there are: bach, jazz"
    assert index["error"].to_list()[4] == ROWS[4].error
    assert index["midi"][0] == index["midi"][3]
    assert index["instruments"].to_list()[2] == ["piano", "bass"]
    assert dict(index.schema) == INDEX_SCHEMA

    assert ROWS[2].request is not None
    single = export(composer.answer(ROWS[2].request), tmp_path / "single")
    files = [Path(single.midi), tmp_path / index["midi"][2], tmp_path / "kept.mid"]
    assert len({file.read_bytes() for file in files}) == 1, "the bytes of a single sample"
    assert Path(single.midi).name == index["midi"][2]


def test_only_whole_samples_are_found(composer: Composer, tmp_path: Path) -> None:
    piece = composer.compose(style="bach", length=32, best_of=1)
    sample = export(piece, tmp_path)
    assert find_samples(tmp_path) == {piece.digest: sample}
    Path(sample.midi).write_bytes(b"changed")
    (tmp_path / "other.json").write_text("{}")
    assert find_samples(tmp_path) == {}
    assert find_samples(tmp_path / "nowhere") == {}


def test_a_failure_of_its_worker_is_the_error_of_a_row(composer: Composer, tmp_path: Path) -> None:
    job = ComposeJob(PieceRequest(), composer.files, composer.identity, tmp_path)
    outcome = compose_piece(job.without(0, Failure.TIMED_OUT), None)  # type: ignore[arg-type]
    assert outcome == "the worker that composed it timed out"
