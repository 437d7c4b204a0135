"""What commands show: reports, files, pages."""

from __future__ import annotations

import pytest

from flows.cli import output


@pytest.mark.parametrize(("variable", "is_opened"), [(None, False), ("DISPLAY", True), ("BROWSER", True)])
def test_a_page_is_opened_where_it_can_be_shown(
    variable: str | None, is_opened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("click.launch", opened.append)
    monkeypatch.setattr("sys.platform", "linux")
    for name in output.DISPLAYS:
        monkeypatch.delenv(name, raising=False)
    if variable is not None:
        monkeypatch.setenv(variable, "there")
    output.browse("http://127.0.0.1:8765")
    assert opened == ["http://127.0.0.1:8765"] * is_opened
