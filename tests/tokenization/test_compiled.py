"""Compiled functions: their machine code is cached until a source file changes that it may come from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numba.core.errors import TypingError
from numpy.typing import NDArray

import infra
import tokenization.compiled
from infra.locks import exclusive
from tokenization.compiled import compiled, machine_code
from tokenization.compiled.sources import sources_of

STEPS = """
from tokenization.compiled import compiled
from tokenization.sizes import (
    SIZE,
)


@compiled
def step(x):
    return x + SIZE
"""
CALLER = """
import numpy
from tokenization import steps
from tokenization.compiled import compiled

step = steps.step


@compiled
def twice(x):
    return step(step(x))


print(twice(1), sum(twice.stats.cache_hits.values()))
"""
FILES = {
    "tokenization/__init__.py": "",
    "tokenization/unused.py": "",
    "tokenization/sizes.py": "SIZE = 1\n",
    "tokenization/steps.py": STEPS,
    "flows/__init__.py": "",
    "flows/caller.py": CALLER,
}


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder with packages of the platform's names; a compiled function's constant stands two imports away."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    source = Path(tokenization.compiled.__file__).parent
    shutil.copytree(source, tmp_path / "tokenization" / "compiled", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(Path(infra.__file__).parent, tmp_path / "infra", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def start(folder: Path) -> subprocess.Popen[str]:
    """Import the caller in a process of its own, which prints a result, and how many signatures were cached."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache")}
    command = [sys.executable, "-c", "import flows.caller"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=folder)


def run(folder: Path) -> str:
    return start(folder).communicate()[0].strip()


def test_machine_code_is_reused_until_a_source_changes_that_it_comes_from(house: Path) -> None:
    assert run(house) == "3 0"
    (house / "tokenization" / "unused.py").write_text("CHANGED = True\n")
    assert run(house) == "3 1", "of what is not imported nothing depends"
    (house / "tokenization" / "sizes.py").write_text("SIZE = 10\n")
    assert run(house) == "21 0"


def test_of_processes_that_need_it_at_once_one_compiles(house: Path) -> None:
    processes = [start(house) for _ in range(3)]
    assert sorted(process.communicate()[0].strip() for process in processes) == ["3 0", "3 1", "3 1"]


def test_sources_are_followed_through_the_platforms_packages_only() -> None:
    package = Path(tokenization.compiled.__file__).parents[1]
    names = [path.relative_to(package).as_posix() for path in sources_of(package / "fingerprint" / "matching.py")]
    assert names == [
        "compiled/__init__.py",
        "compiled/cache.py",
        "compiled/dispatcher.py",
        "compiled/sources.py",
        "fingerprint/matching.py",
        "fingerprint/sketch.py",
    ]


class Pair(NamedTuple):
    values: NDArray[np.float64]
    factor: int


@compiled
def _scale(pair: Pair, out: NDArray[np.float64]) -> int:
    for index in range(len(out)):
        out[index] = pair.values[index] * pair.factor
    return len(out)


def test_machine_code_takes_other_arguments_of_the_same_types() -> None:
    out = np.zeros(2)
    code = machine_code(_scale, Pair(np.ones(1), 1), np.zeros(1))
    assert code(Pair(np.array([1.0, 2.0]), 3), out) == 2
    assert out.tolist() == [3.0, 6.0]


@compiled
def _checked(value: int, least: int = 1) -> int:
    if value < least:
        raise ValueError("too small")
    return value


@compiled
def _sum_checked(values: NDArray[np.int64]) -> int:
    total = 0
    for value in values:
        total += _checked(value) + _checked(value, least=-5)
    return total


def test_a_function_that_a_loop_calls_can_be_called_from_python_too() -> None:
    assert _sum_checked(np.array([1, 2])) == 6
    assert (_checked(4), _checked(0, least=0)) == (4, 0)


def test_an_error_in_a_called_function_is_raised_to_python() -> None:
    with pytest.raises(ValueError, match="too small"):
        _sum_checked(np.array([1, -5]))


def test_only_what_python_calls_becomes_machine_code() -> None:
    _sum_checked(np.array([1]))
    loop: Any = _sum_checked
    part: Any = _checked
    before = len(part.signatures)
    machine_code(_sum_checked, np.zeros(1, np.int32))
    assert (len(loop.signatures), len(part.signatures)) == (2, before)


def test_a_function_that_cannot_be_compiled_leaves_it_to_other_processes() -> None:
    with pytest.raises(TypingError):
        machine_code(_sum_checked, "no array")
    loop: Any = _sum_checked
    lock = Path(loop.stats.cache_path, f"{loop._cache._impl.filename_base}.lock")
    with exclusive(lock, busy="this process still holds it"):
        pass
