"""The lake: one folder that everything is written below."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.settings import LAKE_VARIABLE, Lake, available_cores


class TestWhereTheLakeIs:
    def test_an_explicit_folder_comes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(LAKE_VARIABLE, str(tmp_path / "variable"))
        assert Lake.at(tmp_path / "given").root == tmp_path / "given"

    def test_then_the_environment_variable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(LAKE_VARIABLE, str(tmp_path / "variable"))
        assert Lake.at().root == tmp_path / "variable"

    def test_then_a_folder_here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(LAKE_VARIABLE)
        monkeypatch.chdir(tmp_path)
        assert Lake.at().root == tmp_path / "lake"

    def test_a_relative_folder_and_home_become_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        assert Lake.at("here").root == tmp_path / "here"
        assert Lake.at("~/music").root == tmp_path / "home" / "music"

    def test_asking_creates_nothing(self, tmp_path: Path) -> None:
        Lake.at(tmp_path / "lake").environment()
        assert list(tmp_path.iterdir()) == []


def test_every_folder_lies_below_the_root(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    places = [getattr(lake, name) for name, kind in vars(Lake).items() if isinstance(kind, property)]
    assert len(places) == len(set(places)) == 9
    assert all(place.is_relative_to(tmp_path) for place in places)


def test_the_environment_keeps_libraries_in_the_lake_and_offline(tmp_path: Path) -> None:
    environment = Lake(tmp_path).environment()
    assert environment[LAKE_VARIABLE] == str(tmp_path)
    assert environment["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert environment["MLFLOW_TRACKING_URI"] == f"sqlite:///{tmp_path}/registry/mlflow.db"
    assert environment["DO_NOT_TRACK"] == "true"


def test_at_least_one_core_is_available() -> None:
    assert available_cores() >= 1
