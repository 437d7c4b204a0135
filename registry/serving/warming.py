"""Warming up: compiling what each kind of request needs, before the first of them comes.

A model composes FIRST before it is served. The rest, above all infilling, is compiled beside the server, or beside the
stages of a flow that will compose, by a process of low priority, `python -m registry.serving.warming FOLDER`. The
machine code is cached on disk, where the server finds it; nothing is compiled where that has been done before.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final, Self

from infra.processes import end_with_stdin
from registry.composer import Composer
from registry.identity import ModelIdentity
from registry.prompts import MIDI, Prompt
from registry.requests import PieceRequest
from tokenization.midi.notes import Notes
from tokenization.midi.writing import write_midi

FIRST: Final = PieceRequest(length=48, best_of=1)
"""What a model composes before it is served, so that no request from nothing waits for code to be compiled."""
RANKED: Final = PieceRequest(length=96, best_of=2)
"""What the critic listens to, where the model has one that is trusted."""
FURTHER: Final = (
    PieceRequest(length=64, best_of=1, rank="none"),
    PieceRequest(infill="1s-2s", best_of=1, rank="none"),
    PieceRequest(add=("drums",), best_of=1, rank="none"),
)
"""What is asked of a given piece: to go on, to compose a part anew, and to add an instrument."""
LOWEST_PRIORITY = 19


class Warming:
    """The process that warms up for a model; as a context, it is ended with the block."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, files: Path) -> None:
        """Start the process for the model in a folder, in place of an earlier one; it ends with this one, too."""
        self.close()
        command = [sys.executable, "-m", "registry.serving.warming", str(files)]
        nowhere = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def warm_up(composer: Composer) -> None:
    """Compose RANKED, and what FURTHER asks of a scale. Raises UserError and WeightsError."""
    composer.answer(RANKED)
    scale = given_piece()
    for request in FURTHER:
        composer.answer(request, scale)


def given_piece() -> Prompt:
    """Return a scale of three seconds on the piano."""
    pitches = (60, 62, 64, 65, 67, 69, 71, 72, 71, 69, 67, 65)
    count = len(pitches)
    onsets = [number / 4 for number in range(count)]
    notes = Notes.from_columns(onsets, [0.2] * count, pitches, [80] * count, [0] * count, [False] * count)
    return Prompt(write_midi(notes), f"scale{MIDI}")


if __name__ == "__main__":
    end_with_stdin()
    os.nice(LOWEST_PRIORITY)
    folder = Path(sys.argv[1])
    warm_up(Composer(folder, ModelIdentity.of_files(folder)))
