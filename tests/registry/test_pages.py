"""Addresses on MLflow's page: of the server that is there, and without its password."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.lake import Lake
from infra.services.registry_address import TRACKING_VARIABLE
from registry.pages import run_page, version_page


def test_without_a_server_there_is_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TRACKING_VARIABLE)
    assert (run_page(Lake(tmp_path), "0123456789ab"), version_page(Lake(tmp_path), "3")) == (None, None)
    assert not (tmp_path / "registry").exists(), "asking makes no store"


def test_an_address_has_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRACKING_VARIABLE, "https://user:secret@mlflow.example:5000/")
    assert version_page(Lake(tmp_path), "3") == "https://mlflow.example:5000/#/models/musenet/versions/3"


def test_a_server_that_does_not_answer_costs_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRACKING_VARIABLE, "http://127.0.0.1:9")
    assert run_page(Lake(tmp_path), "0123456789ab") is None
