"""What the tests of commands share. They run in this process, on its Prefect server; `demo/test_demo.py` runs the
installed command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flows.cli import musenet

Command = Callable[..., Result]
Mistake = Callable[[Result], str]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs `musenet …`; words may be paths. A lake of its own unless `lake` names one."""

    def run(*words: object, lake: Path | None = None, stdin: str | None = None) -> Result:
        environment = {"MUSENET_LAKE": str(lake or tmp_path / "lake")}
        return CliRunner(env=environment).invoke(musenet, [str(word) for word in words], input=stdin)

    return run


@pytest.fixture(scope="session")
def mistake() -> Mistake:
    """Gives the one line of a wrong use of a command, behind those of stages that ended well."""

    def line_of(result: Result) -> str:
        assert result.exit_code == 2, (result.output, result.exception)
        assert isinstance(result.exception, SystemExit)
        assert result.stdout == ""
        *before, line = result.stderr.splitlines()
        assert all(other.startswith("✓") for other in before), result.stderr
        assert line.startswith("musenet: ")
        return line.removeprefix("musenet: ")

    return line_of
