"""A reader's computer: a home with MIDI files, an empty lake, and presets that train in seconds.

The modules beside this one are imported by name.
"""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.lake import LAKE_VARIABLE, Lake

sys.path.append(str(Path(__file__).parent))

SONGS = 12
"""Of each style: enough that every split has one."""
SMALL = {
    "model.layers": 1,
    "model.heads": 2,
    "model.d_model": 16,
    "model.context": 64,
    "model.sparsity.block": 16,
    "training.steps": 2,
    "training.batch_size": 2,
    "training.micro_batch_size": 2,
}
"""Changes to every preset that let the commands run as they are written, in seconds."""
SMALL_CRITIC = {"train_pieces": 16, "held_out_pieces": 8, "critic.steps": 4, "critic.window": 32}
"""The same of the critic's training."""


@pytest.fixture(scope="module")  # no later test starts in the reader's folder
def reader(tmp_path_factory: pytest.TempPathFactory, song: Callable[[int], bytes]) -> Iterator[Any]:
    """A `reader.Reader` at that computer."""
    from reader import Reader

    def write_songs(folder: Path, first: int, count: int) -> None:
        folder.mkdir(parents=True)
        for number in range(count):
            (folder / f"{number:02}.mid").write_bytes(song(first + number))

    from flows.criticism.parameters import CriticParameters
    from flows.training import flow as training_flow
    from flows.warm_start import fitting
    from modeling.config import load_preset, with_settings

    work = tmp_path_factory.mktemp("reader")
    home = work / "home"
    for number, style in enumerate(("bach", "jazz", "joplin")):
        write_songs(home / "midi" / style, 100 * number, SONGS)
    write_songs(work / "downloads" / "classical" / "bach", 1000, 4)
    write_songs(work / "downloads" / "lakh" / "pop", 2000, 4)
    with tarfile.open(work / "downloads" / "lmd_full.tar.gz", "w:gz") as archive:
        archive.add(work / "downloads" / "lakh", "lmd_full")
    (work / "composers.csv").write_text("path,style\nbach/00.mid,Bach Johann Sebastian\n", encoding="utf-8")
    for name in ("tune", "my_idea"):
        (work / f"{name}.mid").write_bytes(song(3000))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        patch.setenv("HOME", str(home))
        patch.setenv(LAKE_VARIABLE, str(work / "lake"))
        for module in (training_flow, fitting):
            patch.setattr(module, "load_preset", lambda name: with_settings(load_preset(name), SMALL))
        changed = CriticParameters.changed
        patch.setattr(CriticParameters, "changed", lambda given, settings: changed(given, {**SMALL_CRITIC, **settings}))
        yield Reader()


@pytest.fixture(scope="module")
def served(reader: Any) -> Iterator[None]:
    """Prefect's server on the reader's lake."""
    import mlflow

    from infra.services import down, prefect_server

    lake = Lake(Path("lake").absolute())
    lake.services.mkdir(parents=True)
    with prefect_server(lake):
        try:
            yield
        finally:
            down(lake)
            mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # which snippets have set for the whole process
