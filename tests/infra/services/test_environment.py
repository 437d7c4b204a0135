"""The environment of libraries: inside the lake, offline, and found again by child processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.lake import LAKE_VARIABLE, Lake
from infra.services import library_environment
from infra.services.environment import server_environment


def test_it_keeps_libraries_in_the_lake_and_offline(tmp_path: Path) -> None:
    environment = library_environment(Lake(tmp_path))
    assert environment[LAKE_VARIABLE] == str(tmp_path)
    assert environment["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert environment["MLFLOW_TRACKING_URI"] == f"sqlite:///{tmp_path}/registry/mlflow.db"
    assert environment["DO_NOT_TRACK"] == "true"
    assert list(tmp_path.iterdir()) == [], "asking creates nothing"


@pytest.mark.parametrize("remote", ["memory://bucket/lake", None])
def test_the_lake_is_found_again_by_child_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remote: str | None
) -> None:
    lake = Lake(tmp_path, remote)
    for name, value in library_environment(lake).items():
        monkeypatch.setenv(name, value)
    assert Lake.at() == lake
    assert Lake.at(lake.address) == lake


def test_a_server_has_no_prefect_settings_of_the_user_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "sqlite:///elsewhere.db")
    environment = server_environment(Lake(tmp_path), "private", "http://127.0.0.1:4321", "us:secret")
    assert "PREFECT_API_DATABASE_CONNECTION_URL" not in environment
    assert environment["PREFECT_SERVER_API_PORT"] == "4321"
    assert environment["PREFECT_SERVER_UI_ENABLED"] == "0"
