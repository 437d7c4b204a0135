"""The GPU benchmark runs, at small sizes, where there is no GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.thorough]


def test_it_measures_everything_on_a_processor(tmp_path: Path) -> None:
    script = Path(__file__).with_name("gpu.py")
    table, figures = tmp_path / "table.md", tmp_path / "figures.json"
    options = ["--small", "--modes", "strided", "bigbird", "--markdown", str(table), "--json", str(figures)]
    surroundings = {
        "OMP_NUM_THREADS": "1",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "TORCH_EXTENSIONS_DIR": str(Path(sys.prefix) / "torch_extensions"),
    }
    done = subprocess.run(
        [sys.executable, str(script), *options], env={**os.environ, **surroundings}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(figures.read_text(encoding="utf-8"))
    assert [(one["model"], one["micro_batch"]) for one in found["training"]] == [("musenet (small)", n) for n in (1, 2)]
    assert all(0 < one["mfu"] < 1 and one["peak_bytes"] > 0 for one in found["training"])
    for section in ("kernels", "steps"):
        assert {one["mode"] for one in found[section]} == {"dense", "strided", "bigbird"}
        assert all(one["speed_up"] == 1 for one in found[section] if one["mode"] == "dense")
    assert {one["steps"] for one in found["sampling"]} == {"recorded", "one by one"}
    assert all(one["tokens_per_second"] > 0 for one in found["sampling"])
    page = table.read_text(encoding="utf-8")
    assert page.strip() in done.stdout
    assert {"date", "device", "torch", "deepspeed"} <= found.keys()
