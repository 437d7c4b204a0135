"""The run of a sweep in MLflow: however the sweep ends, it does not stay running."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.lake import Lake
from registry.lineage import DatasetReference
from registry.runs import find_run
from registry.store import Registry
from registry.sweeps import SweepRun

DATASET = DatasetReference("songs", "0123456789ab", "file:///songs", {})


@pytest.fixture
def status(make_registry: Callable[[Lake], Registry], tmp_path: Path) -> Callable[[], str]:
    lake = Lake(tmp_path)
    registry = make_registry(lake)
    return lambda: registry.client.get_run(find_run(registry, "sweep:shapes")).info.status


@pytest.mark.parametrize(
    ("error", "became"), [(ValueError(), "FAILED"), (KeyboardInterrupt(), "KILLED"), (SystemExit(), "KILLED")]
)
def test_what_interrupts_a_sweep_closes_its_run_and_the_next_time_it_goes_on(
    error: BaseException, became: str, status: Callable[[], str], tmp_path: Path
) -> None:
    def interrupted() -> None:
        with SweepRun.open(Lake(tmp_path), "shapes", {}, DATASET):
            assert status() == "RUNNING"
            raise error

    with pytest.raises(type(error)):
        interrupted()
    assert status() == became
    with SweepRun.open(Lake(tmp_path), "shapes", {}, DATASET) as run:
        assert status() == "RUNNING"
        run.end("| trials |", None)
    assert status() == "FINISHED"
