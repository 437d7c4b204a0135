"""Compiled functions: their machine code is cached until a source file of the package changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CALLEE = "from tokenization.compiled import compiled\n\n\n@compiled\ndef step(x):\n    return x + {}\n"
CALLER = """
from callee import step
from tokenization.compiled import compiled


@compiled
def twice(x):
    return step(step(x))


print(twice(1), sum(twice.stats.cache_hits.values()))
"""


def run(folder: Path, sources: str) -> str:
    """Run the caller in a process in which the package's sources have the digest `sources`."""
    script = f"import tokenization.compiled as c; c.source_digest = lambda _: {sources!r}; import caller"
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
    environment = {**os.environ, "PYTHONPATH": path, "NUMBA_CACHE_DIR": str(folder / "cache")}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def test_machine_code_is_reused_until_a_source_changes_even_in_a_callee(tmp_path: Path) -> None:
    (tmp_path / "caller.py").write_text(CALLER)
    (tmp_path / "callee.py").write_text(CALLEE.format(1))
    assert run(tmp_path, "one") == "3 0"
    assert run(tmp_path, "one") == "3 1"
    (tmp_path / "callee.py").write_text(CALLEE.format(10))
    assert run(tmp_path, "two") == "21 0"
