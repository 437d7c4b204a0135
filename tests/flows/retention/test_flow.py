"""The flow of a scheduled collection: it lists, and removes where that is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from flows.retention.parameters import CollectParameters
from infra.lake import Lake


def test_parameters_are_those_of_the_command() -> None:
    rules = CollectParameters(keep=3, older_than="12h", samples=True).rules
    assert (rules.keep, rules.older_than.total_seconds(), rules.samples) == (3, 12 * 3600, True)
    with pytest.raises(ValidationError, match="older_than"):
        CollectParameters(older_than="soon")


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_api")
def test_it_lists_first(tmp_path: Path) -> None:
    from flows.retention.flow import collect

    lake = Lake(tmp_path)
    generations = lake.archive / "0123456789ab" / "abcdef012345"  # of a run that is gone
    generations.mkdir(parents=True)
    (generations / "round0.parquet").write_bytes(bytes(100))
    listed = collect(CollectParameters(older_than="0m", lake=lake.address))
    assert (listed.removed, listed.items, listed.bytes) == (False, 1, 100)
    assert generations.exists()
    removed = collect(CollectParameters(older_than="0m", remove=True, lake=lake.address))
    assert (removed.removed, removed.items, removed.bytes) == (True, 1, 100)
    assert not generations.exists()
