"""The shell scripts of infra, as shellcheck sees them."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

import pytest

INFRA = Path(__file__).parents[2] / "infra"
SCRIPTS = [path for path in INFRA.rglob("*") if path.suffix in (".sh", ".sbatch")]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.name))
def test_a_script_is_sound(script: Path) -> None:
    shellcheck = Path(sysconfig.get_path("scripts")) / "shellcheck"
    done = subprocess.run([shellcheck, script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
