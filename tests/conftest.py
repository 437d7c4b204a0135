"""What all tests share: nothing that a library writes by default lands outside a temporary folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.lake import Lake

# Libraries read their settings as they are imported, which other folders' conftest files do before any hook runs.
SCRATCH = Path(tempfile.mkdtemp(prefix="musenet-tests-"))
os.environ.pop("PREFECT_API_URL", None)
os.environ.update(Lake(SCRATCH).environment())


def pytest_unconfigure() -> None:
    shutil.rmtree(SCRATCH, ignore_errors=True)


@pytest.fixture(autouse=True)
def environment_as_before() -> Iterator[None]:
    """Commands set environment variables for the libraries they import; no test inherits another's."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session")
def midi_fixtures() -> Path:
    """The project's own MIDI files, good and broken; their SOURCES.md says what each is."""
    return Path(__file__).parent / "fixtures" / "midi"
