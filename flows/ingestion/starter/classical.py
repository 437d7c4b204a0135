"""The classical starter collection, converted to MIDI from scores in the `music21` package.

The encodings in music21's corpus have mixed terms, so no converted file is shipped: `convert` makes them on the
user's machine, once, into a cache folder with one sub-folder per composer, which labels the style.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import io
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

from flows.engines import Failure, Heartbeat, Pool, WorkerSettings
from flows.ingestion.starter.score_to_midi import score_to_midi
from flows.ingestion.starter.works import COMPOSERS, Composer, Work
from infra.errors import UserError
from infra.files import remove_abandoned, staging_folder, write_atomically

REVISION = 3
"""Version of the table of works and of the conversion; increase it with any change, so that `cache_name` changes."""

LICENCE = "mixed: see corpus/license.txt in the music21 package"

SECONDS_PER_SCORE = 120.0
"""The longest score takes about two seconds on an idle machine, and importing music21 one."""
WORKER_BYTES = 8 << 30


class StarterUnavailable(UserError):
    """Raised when music21, which holds the scores, is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "the classical starter pieces are converted from scores in the `music21` package, which is not "
            "installed; install the `demo` extra: pip install 'musenet[demo]'"
        )


@dataclass(frozen=True)
class Unconverted:
    """A work that could not be converted, and the reason."""

    style: str
    work: str
    reason: str


def corpus_folder() -> Path:
    """Return the folder of music21's scores without importing the package. Raises StarterUnavailable."""
    found = importlib.util.find_spec("music21")
    if found is None or not found.submodule_search_locations:
        raise StarterUnavailable
    return Path(found.submodule_search_locations[0]) / "corpus"


def cache_name() -> str:
    """Return a name for the cache folder that changes whenever the converted files would. Raises StarterUnavailable."""
    try:
        version = importlib.metadata.version("music21")
    except importlib.metadata.PackageNotFoundError:
        raise StarterUnavailable from None
    return f"music21-{version}-r{REVISION}"


def convert(
    cache: Path,
    workers: int,
    on_progress: Callable[[int, int], None] | None = None,
    composers: Sequence[Composer] = COMPOSERS,
) -> list[Unconverted]:
    """Convert every work missing from the cache to `<cache>/<style>/<work>.mid`, in `workers` processes.

    `on_progress` is called with (done, total), first for the works already in the cache. Return the works that could
    not be converted; they do not stop the others. Raises StarterUnavailable if works are missing and music21 is not
    installed.
    """
    wanted = [(composer, work) for composer in composers for work in composer.works]
    missing = [(c, w) for c, w in wanted if not (cache / c.style / w.midi_name).exists()]
    report = on_progress or (lambda done, total: None)
    done = len(wanted) - len(missing)
    report(done, len(wanted))
    if not missing:
        return []
    unconverted = []
    corpus = corpus_folder()
    remove_abandoned(cache)
    with staging_folder(cache) as home:
        settings = WorkerSettings(SECONDS_PER_SCORE, WORKER_BYTES, partial(_import_music21, str(home)))
        jobs = [_ConversionJob(corpus, composer, work) for composer, work in missing]
        with Pool(workers, settings) as pool:
            for index, outcome in pool.run(_convert_one, jobs):
                composer, work = missing[index]
                if isinstance(outcome, bytes):
                    write_atomically(cache / composer.style / work.midi_name, outcome)
                else:
                    unconverted.append(Unconverted(composer.style, work.path, outcome))
                done += 1
                report(done, len(wanted))
    return sorted(unconverted, key=lambda failed: (failed.style, failed.work))


@dataclass(frozen=True)
class _ConversionJob:
    """One score to convert."""

    corpus: Path
    composer: Composer
    work: Work
    failure: str | None = None

    def without(self, item: int, failure: Failure) -> Self:
        return replace(self, failure=str(failure))


def _import_music21(home: str) -> None:
    """Import music21 in a worker, outside the time of the first score.

    It reads ~/.music21rc and creates a temporary folder: with the empty folder `home` for both, results are the same
    on every machine and nothing is left behind.
    """
    os.environ["HOME"] = tempfile.tempdir = home
    importlib.import_module("music21.converter")


def _convert_one(job: _ConversionJob, heartbeat: Heartbeat) -> bytes | str:
    """Return the MIDI file, or the reason for which there is none."""
    if job.failure:
        return job.failure
    heartbeat.at(0)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return score_to_midi(job.corpus / job.work.path, job.composer.programs, job.work.bpm)
    except Exception as error:  # other scores may convert
        return f"{type(error).__name__}: {error}"
