"""The backup as a flow: its run shows what was done, and fails where the lake is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.backup.folder import backup_names
from flows.backup.parameters import BackupParameters
from infra.lake import Lake


@pytest.mark.usefixtures("prefect_api")
def test_a_run_fails_for_a_damaged_lake_that_it_has_backed_up(lake: Lake, tmp_path: Path) -> None:
    from flows.backup.flow import backup

    parameters = BackupParameters(to=tmp_path / "backups", keep=1, lake=str(lake.root))
    assert backup(parameters).findings == ()
    (lake.root / "datasets/songs/1111/train/00000.parquet").write_bytes(b"flipped")
    state = backup(parameters, return_state=True)
    assert state.is_failed() and "is made, of a damaged lake: datasets/songs/1111/" in state.message
    assert len(backup_names(tmp_path / "backups")) == 1
