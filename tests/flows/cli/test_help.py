"""Help: quick, for every command."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from flows.cli import musenet

Command = Callable[..., Result]
MUSENET = Path(sys.executable).with_name("musenet")


class TestHelp:
    @pytest.mark.parametrize("name", [None, *musenet.commands])
    def test_every_command_explains_itself(self, command: Command, name: str | None) -> None:
        result = command(*([name] if name else []), "--help")
        assert result.exit_code == 0
        assert result.stdout.startswith("Usage: ")
        assert "." in result.stdout.split("\n\n")[1], "no sentence says what it does"

    def test_comes_at_once(self) -> None:
        """The best of five: a busy machine makes any one of them slow."""
        seconds = []
        for _ in range(5):
            begun = time.perf_counter()
            subprocess.run([MUSENET, "train", "--help"], check=True, capture_output=True)
            seconds.append(time.perf_counter() - begun)
        assert min(seconds) < 0.5

    def test_imports_nothing_heavy(self) -> None:
        script = "import sys, flows.cli; print(sorted({m.split('.')[0] for m in sys.modules}))"
        output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
        for module in ("torch", "deepspeed", "prefect", "mlflow", "numpy", "polars", "pydantic", "matplotlib"):
            assert repr(module) not in output
