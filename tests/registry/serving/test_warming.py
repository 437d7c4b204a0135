"""Warming up: what the first requests of each kind need is compiled beside the server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from numba.core import event

from registry.composer import Composer
from registry.requests import PieceRequest
from registry.serving.warming import Warming, given_piece, warm_up

pytestmark = pytest.mark.slow


@pytest.fixture
def compilations() -> Iterator[list[str]]:
    """The functions that are compiled meanwhile."""
    names: list[str] = []

    class Listener(event.Listener):  # type: ignore[misc]
        def on_start(self, event: event.Event) -> None:
            names.append(str(event.data["dispatcher"].py_func.__name__))

        def on_end(self, event: event.Event) -> None:
            pass

    with event.install_listener("numba:compile", Listener()):
        yield names


def test_nothing_is_left_to_compile(composer: Composer, compilations: list[str]) -> None:
    warm_up(composer)
    compilations.clear()
    composer.answer(PieceRequest(infill="0.5s-1.5s", best_of=2, temperature=0.9), given_piece())
    composer.answer(PieceRequest(length=80, best_of=3, top_p=0.9), given_piece())
    assert compilations == []


def test_the_process_ends_with_what_started_it(composer: Composer) -> None:
    """As a server that is killed leaves it: its standard input closes."""
    command = [sys.executable, "-m", "registry.serving.warming", str(composer.files)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = process.communicate(b"", timeout=120)
    assert process.returncode in (0, 1), output
    assert output == b""


def test_it_is_ended_when_the_server_is_closed(composer: Composer) -> None:
    warming = Warming()
    warming.start(composer.files)
    process = warming._process
    assert process is not None
    warming.close()
    assert process.returncode is not None
