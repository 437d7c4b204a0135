"""The job of a worker: a request becomes files, or the reason for which it cannot."""

from __future__ import annotations

from pathlib import Path

from flows.engines import Failure, Heartbeat
from flows.sampling.compose_job import ComposeJob, compose_piece
from flows.sampling.export import Sample
from flows.sampling.metadata import read_metadata
from registry.composer import Composer
from registry.requests import PieceRequest

REQUEST = PieceRequest(style="bach", length=40, best_of=1)


def compose(composer: Composer, folder: Path, request: PieceRequest = REQUEST, lake: str | None = None) -> Sample | str:
    job = ComposeJob(request, composer.files, composer.identity, folder, lake)
    return compose_piece(job, Heartbeat([0.0, 0.0]))


def test_a_piece_is_written_as_it_would_be_without_a_worker(composer: Composer, tmp_path: Path) -> None:
    sample = compose(composer, tmp_path)
    assert isinstance(sample, Sample)
    assert Path(sample.midi).read_bytes() == composer.answer(REQUEST).midi
    assert read_metadata(Path(sample.metadata)).originality is None


def test_its_originality_is_looked_for_in_the_lake(composer: Composer, tmp_path: Path) -> None:
    sample = compose(composer, tmp_path, lake=str(tmp_path))
    assert isinstance(sample, Sample)
    about = read_metadata(Path(sample.metadata)).originality
    assert about is not None
    assert about.unknown is not None
    assert about.unknown.startswith("no dataset 'songs'")


def test_what_cannot_be_made_is_a_line(composer: Composer, tmp_path: Path) -> None:
    request = REQUEST.model_copy(update={"opening": "bach/a"})
    assert str(compose(composer, tmp_path, request)).startswith("openings and originality need the pieces of songs@")
    job = ComposeJob(REQUEST, composer.files, composer.identity, tmp_path).without(0, Failure.TIMED_OUT)
    assert compose_piece(job, Heartbeat([0.0, 0.0])) == "the worker that composed it timed out"
