"""The password of a lake's servers: one for all of them, and for nobody else's eyes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from infra.lake import Lake
from infra.services.password import make_password, password_file, read_password
from infra.services.prefect_api import credentials
from infra.services.records import Record, identities, write_record


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def test_it_is_made_once_and_only_its_owner_reads_it(lake: Lake) -> None:
    assert read_password(lake) is None
    password = make_password(lake)
    assert make_password(lake) == read_password(lake) == password
    assert stat.S_IMODE(password_file(lake).stat().st_mode) == 0o600
    assert password.startswith("musenet:")
    assert len(password) > 32


def test_every_lake_has_its_own(lake: Lake, tmp_path: Path) -> None:
    assert make_password(lake) != make_password(Lake(tmp_path / "other"))


def test_only_the_lake_s_own_server_is_told_it(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address in PREFECT_API_URL may be anybody's."""
    monkeypatch.delenv("PREFECT_API_AUTH_STRING", raising=False)
    password = make_password(lake)
    write_record(lake, "prefect", Record("http://127.0.0.1:4200", "", "", identities(os.getpid())))
    assert credentials(lake, "http://127.0.0.1:4200/api/") == {"PREFECT_API_AUTH_STRING": password}
    assert credentials(lake, "https://elsewhere.example/api") == {}
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "another")
    assert credentials(lake, "http://127.0.0.1:4200/api") == {}, "the user's own comes first"
