"""The job of composing a piece in a worker process, which loads the model once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Self

from flows.engines import Failure, Heartbeat, WorkerSettings
from flows.sampling.export import AudioOutput, Sample, export
from flows.sampling.originality import CopyCheck
from flows.sampling.origins import OpeningInfo, Origin
from infra.errors import MusenetError, message_of
from infra.lake import Lake
from registry.composer import Composer
from registry.identity import ModelIdentity
from registry.requests import PieceRequest

WORKER_BYTES = 32 * 2**30
"""Memory of a worker beyond its model; caches of long pieces and many candidates take gigabytes."""


@dataclass(frozen=True)
class ComposeJob:
    """One piece to compose and to write."""

    request: PieceRequest
    files: Path
    """The model's bundle, in a folder that all workers see."""
    identity: ModelIdentity
    folder: Path
    lake: str | None = None
    """Where the model's dataset lies."""
    audio: AudioOutput | None = None
    failure: Failure | None = None

    def without(self, item: int, failure: Failure) -> Self:
        """Return the job that reports a failure of its worker."""
        return replace(self, failure=failure)


def compose_piece(job: ComposeJob, heartbeat: Heartbeat) -> Sample | str:
    """Compose and write a piece. Returns the error in one line where it cannot be made."""
    if job.failure is not None:
        return f"the worker that composed it {str(job.failure).replace('_', ' ')}"
    heartbeat.at(0)
    try:
        composer = _composer(job.files, job.identity, job.lake)
        prompt = composer.find_prompt(job.request)
        origin = Origin(OpeningInfo.of(composer.find_opening(job.request)))
        piece = composer.answer(job.request, prompt)
        check = None if job.lake is None else _check(job.lake, job.identity.dataset)
        originality = None if check is None else check.of_piece(piece)
        return export(piece, job.folder, job.audio, originality, origin)
    except MusenetError as error:
        return message_of(error)


def worker_settings(composer: Composer, seconds_per_piece: float) -> WorkerSettings:
    """Return the settings of workers that compose with a model."""
    place = None if composer.lake is None else composer.lake.address
    return WorkerSettings(seconds_per_piece, WORKER_BYTES, partial(_load, composer.files, composer.identity, place))


def _load(files: Path, identity: ModelIdentity, lake: str | None) -> None:
    _composer(files, identity, lake).bundle  # noqa: B018 (loads it)


@cache
def _check(lake: str, dataset: str) -> CopyCheck:
    return CopyCheck.of(Lake.at(lake), dataset, None)


@cache
def _composer(files: Path, identity: ModelIdentity, lake: str | None) -> Composer:
    return Composer(files, identity, lake=None if lake is None else Lake.at(lake))
