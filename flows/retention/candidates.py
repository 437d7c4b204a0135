"""Candidates: what may be removed from a lake, class by class, each with the reason.

Nothing here is referred to: a run needs its model and its dataset, a model version its bundle in MLflow, a dataset
version its own folder. Store parts and caches only save work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from flows.ingestion.parsing.store import VERSION
from flows.training.runs import list_runs
from infra.files import STAGING_PREFIX
from infra.lake import Lake
from infra.locks import is_held
from infra.object_store import folders_in
from modeling.training.run_folder import RunFolder
from tokenization.dataset import DatasetVersion


class Kind(StrEnum):
    """Classes of what may go, in the order of removal: what is visible goes before what it is made of."""

    VERSION = "dataset versions"
    PART = "store parts"
    ARCHIVE = "archives"
    CHECKPOINT = "checkpoints"
    CACHE = "caches"
    SAMPLE = "samples"


@dataclass(frozen=True)
class Candidate:
    """A file or folder that may go."""

    kind: Kind
    path: Path
    reason: str


def old_versions(versions: Iterable[DatasetVersion]) -> Iterator[Candidate]:
    """Yield the folders of versions that nothing refers to."""
    for version in versions:
        yield Candidate(Kind.VERSION, version.path, f"{version}: a newer one is there, and nothing refers to it")


def unused_parts(lake: Lake, kept: Iterable[DatasetVersion]) -> Iterator[Candidate]:
    """Yield the parts of the store without a file of a kept version, and parts of other readers."""
    folder = lake.root / "pieces"
    needed = pl.concat(
        [pl.Series([], dtype=pl.String), *(version.manifest["sha256"].drop_nulls() for version in kept)]
    ).unique()
    for store in _folders(folder):
        if store.name != VERSION:
            yield Candidate(Kind.PART, store, f"made by {store.name}; this musenet reads {VERSION}")
            continue
        for part in sorted(store.glob("[!.]*.parquet")):
            try:
                hashes = pl.Series(pq.read_table(part, columns=["sha256"], partitioning=None).column(0))
            except (OSError, pa.ArrowInvalid):
                yield Candidate(Kind.PART, part, "damaged")
                continue
            if not hashes.is_in(needed.implode()).any():
                yield Candidate(Kind.PART, part, "none of its files is in a version that stays")


def finished_archives(lake: Lake) -> Iterator[Candidate]:
    """Yield the generations that critics were trained on, where the critic is there, or the run is not."""
    for run in _folders(lake.archive):
        folder = RunFolder(lake.runs / run.name)
        for archive in _folders(run):
            if not folder.path.is_dir():
                yield Candidate(Kind.ARCHIVE, archive, f"run {run.name} is gone")
            elif (folder.critics / archive.name).is_dir():
                yield Candidate(Kind.ARCHIVE, archive, f"the critic {archive.name} of run {run.name} is trained")


def finished_checkpoints(lake: Lake) -> Iterator[Candidate]:
    """Yield the checkpoints of runs that have trained their last step and left their model.

    A run that a time limit or a plateau has ended keeps them: it goes on when the limit is raised.
    """
    for run in list_runs(lake):
        folder = run.folder
        if not folder.has_model or is_held(folder.lock) or run.history().step < run.config.training.steps:
            continue
        for states in (folder.checkpoints, folder.best):
            if states.is_dir():
                yield Candidate(Kind.CHECKPOINT, states, f"run {run.run_id} is finished")


def caches(lake: Lake) -> Iterator[Candidate]:
    """Yield token caches, pieces composed for evaluations, indices of archives, and what is kept for those now gone.

    That is tested pairs of datasets and facts of readers. All are made again where they are needed.
    """
    for folder in _folders(lake.cache / "tokens"):
        yield Candidate(Kind.CACHE, folder, "decoded tokens, made again when training reads them")
    for folder in _folders(lake.cache / "evaluation"):
        yield Candidate(Kind.CACHE, folder, "pieces composed for an evaluation, made again by the next one")
    indices = lake.cache / "archives"
    for file in sorted(indices.iterdir()) if indices.is_dir() else ():
        if file.is_file() and not file.name.startswith("."):
            yield Candidate(Kind.CACHE, file, "index of an archive, made again when it is read")
    for folder in _folders(lake.facts):
        if folder.name != VERSION:
            yield Candidate(Kind.CACHE, folder, f"facts of store parts made by {folder.name}")
    datasets = {folder.name for folder in folders_in(lake.datasets)}
    for file in sorted((lake.cache / "links").glob("*.pairs")):
        if file.stem not in datasets:
            yield Candidate(Kind.CACHE, file, "tested pairs of pieces, of a dataset that is gone")


def samples(lake: Lake) -> Iterator[Candidate]:
    """Yield the files of composed pieces."""
    for file in sorted(lake.samples.iterdir()) if lake.samples.is_dir() else ():
        if file.is_file() and not file.name.startswith("."):
            yield Candidate(Kind.SAMPLE, file, "a composed piece")


def _folders(parent: Path) -> list[Path]:
    found = parent.iterdir() if parent.is_dir() else ()
    return sorted(path for path in found if path.is_dir() and not path.name.startswith((".", STAGING_PREFIX)))
