"""Help: quick, for every command."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import Result

from flows.cli import musenet

Command = Callable[..., Result]
MUSENET = Path(sys.executable).with_name("musenet")


def seconds_of(command: Sequence[str | Path]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


class TestHelp:
    @pytest.mark.parametrize("name", [None, *musenet.commands])
    def test_every_command_explains_itself(self, command: Command, name: str | None) -> None:
        result = command(*([name] if name else []), "--help")
        assert result.exit_code == 0
        assert result.stdout.startswith("Usage: ")
        assert "." in result.stdout.split("\n\n")[1], "no sentence says what it does"

    def test_comes_at_once(self) -> None:
        """Beside what Python and click take alone, each the best of five: a busy machine makes any one slow."""
        commands = ([MUSENET, "train", "--help"], [sys.executable, "-c", "import click"])
        ours, floor = (min(seconds_of(each) for _ in range(5)) for each in commands)
        assert ours < 5 * floor

    def test_imports_nothing_heavy(self) -> None:
        script = "import sys, flows.cli; print(sorted({m.split('.')[0] for m in sys.modules}))"
        output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
        for module in (
            "torch",
            "deepspeed",
            "prefect",
            "mlflow",
            "numpy",
            "polars",
            "pydantic",
            "matplotlib",
            "fsspec",
        ):
            assert repr(module) not in output
