"""The sampling flows: compose with a registered model and export the best candidates; make a sample again; and work
through a table of requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from flows.engines import JobError, open_engine
from flows.lineage import file_place, location_place, model_place, recorded
from flows.progress import say, say_once, stage
from flows.sampling.again import AgainReport, differences, find_same_model, restore
from flows.sampling.compose_job import worker_settings
from flows.sampling.continuation import go_on_from
from flows.sampling.export import Sample, export
from flows.sampling.metadata import find_prompt, read_metadata
from flows.sampling.originality import CopyCheck, compose_original
from flows.sampling.origins import OpeningInfo, Origin, opening_lines
from flows.sampling.parameters import AgainParameters, SampleParameters, TableParameters
from flows.sampling.request_table import read_requests
from flows.sampling.table_run import TableRun
from infra.errors import RunError
from infra.lake import Lake
from infra.services.flow_run import whole
from registry.composer import Composer
from registry.identity import MODEL_NAME
from registry.loading import open_composer
from registry.models import RegisteredModel, find_model
from registry.piece import Piece
from registry.prompts import Prompt
from registry.requests import PieceRequest
from registry.store import Registry


@dataclass(frozen=True)
class SampleReport:
    """The composed pieces, and the model version that composed them."""

    model_version: str
    dataset: str
    candidates: int
    """Number of candidates generated for all pieces together."""
    samples: list[Sample]


@task(name="pull", persist_result=False, cache_policy=NO_CACHE)
def pull_task(registry: Registry, model: RegisteredModel, lake: Lake) -> Composer:
    """Copy the files of a registered version to this machine."""
    return open_composer(registry, model, lake=lake)


@task(name="compose", persist_result=False, cache_policy=NO_CACHE)
def compose_task(composer: Composer, request: PieceRequest, prompt: Prompt | None) -> Piece:
    """Generate the candidates of one piece, rank them and return the best."""
    candidates = composer.candidates_for_best(request)
    of = f" (best of {candidates})" if candidates > 1 else ""
    with stage(f"composing {request.style or 'free'}, seed {request.seed}{of}") as bar:
        piece = composer.answer(request, prompt, bar.step)
        bar.update(0, note="" if piece.score is None else f"score {piece.score:.3f}")
    return piece


@flow(name="sample", flow_run_name="{parameters.model}, seed {parameters.seed}", persist_result=False)
def sample(parameters: SampleParameters) -> SampleReport:
    """Compose pieces with a registered model. Raises UserError, UnknownModel and VocabularyError."""
    lake = Lake.at(parameters.lake)
    with recorded("sample", flow_run) as record:
        audio = parameters.audio_output()
        registry = Registry.open(lake)
        model = find_model(registry, parameters.model)
        composer = pull_task(registry, model, lake)
        request, prompt, origin = _begin(composer, parameters)
        for line in composer.check(request, prompt):
            say(line)
        if (reason := composer.unranked_because(request)) is not None:
            say(reason)
        record.reads(model_place(lake, MODEL_NAME, model.version))
        check = CopyCheck.of(lake, model.dataset, parameters.refuse_copies)
        if check.index is None:
            say_once(f"originality is unknown: {check.reason}")
        samples = []
        for asked in parameters.requests(request):
            piece, originality = compose_original(
                lambda drawn: compose_task(whole(composer), drawn, whole(prompt)),
                asked,
                check,
                parameters.refuse_copies,
                parameters.count,
            )
            samples.append(export(piece, parameters.folder, audio, originality, origin))
            record.writes(file_place(samples[-1].midi))
    rows = [
        {
            "piece": Path(s.midi).name,
            "score": None if s.score is None else round(s.score, 4),
            "notes": s.notes,
            "s": s.seconds,
        }
        for s in samples
    ]
    create_table_artifact(key="samples", table=rows, description=f"model version {model.version}")
    return SampleReport(model.version, model.dataset, parameters.count * composer.candidates_for_best(request), samples)


def _begin(composer: Composer, parameters: SampleParameters) -> tuple[PieceRequest, Prompt | None, Origin]:
    """Return the request for the first piece, what it begins with, and where that is from. Raises UserError."""
    if parameters.source is not None:
        further = go_on_from(parameters.source.expanduser(), composer, parameters)
        say(f"{further.parent.at:,} tokens of {further.parent.name} are kept")
        return further.request, further.prompt, Origin(parent=further.parent)
    opening = composer.find_opening(parameters)
    for line in opening_lines(opening, parameters.refuse_copies):
        say(line)
    return parameters.request, composer.find_prompt(parameters), Origin(OpeningInfo.of(opening))


@flow(name="sample-again", persist_result=False)
def sample_again(parameters: AgainParameters) -> AgainReport:
    """Make a sample again and compare it. Raises UserError, UnknownModel and VocabularyError."""
    lake = Lake.at(parameters.lake)
    file = parameters.metadata.expanduser()
    then = read_metadata(file)
    prompt = find_prompt(then, file.parent)
    with recorded("sample", flow_run) as record:
        registry = Registry.open(lake)
        model = find_same_model(registry, then, parameters.model)
        record.reads(model_place(lake, MODEL_NAME, model.version))
        composer = pull_task(registry, model, lake)
        composer.check(then.request, prompt)
        piece = compose_task(whole(composer), then.request, whole(prompt))
        found = differences(then, file.parent, piece)
        restored, changed = ([], []) if found else restore(then, file.parent, piece)
        origin = Origin(then.opening, then.parent)
        midi = None if parameters.out is None else export(piece, parameters.out, origin=origin).midi
        record.writes(*map(file_place, [*restored, *([] if midi is None else [midi])]))
    return AgainReport(str(file), not found, found, restored, changed, midi)


@dataclass(frozen=True)
class TableReport:
    """The outcome of a table of requests; every row is in the index."""

    model_version: str
    rows: int
    composed: int
    """Pieces made by this run; equal requests are made once."""
    failed: dict[int, str]
    """Errors by the number of the row."""
    folder: str
    index: str


@task(name="compose table", persist_result=False, cache_policy=NO_CACHE)
def table_task(parameters: TableParameters, run: TableRun) -> int:
    """Compose what is pending, in worker processes."""
    settings = worker_settings(run.composer, parameters.seconds_per_piece)
    workers = min(parameters.workers, len(run.pending))
    with stage(f"composing {parameters.requests.name}", unit="pieces") as bar:

        def progress(done: int, total: int, failed: int) -> None:
            bar.update(done, total, f"{failed:,} failed" if failed else "")

        with open_engine(parameters.engine, workers, settings, parameters.cluster) as engine:
            return run.compose(engine, progress)


@flow(name="sample-table", persist_result=False)
def sample_table(parameters: TableParameters) -> TableReport:
    """Compose a piece for each row of a table; those that are there are not made again. Raises UserError, RunError."""
    lake = Lake.at(parameters.lake)
    rows = read_requests(parameters.requests.expanduser(), parameters.defaults)
    with recorded("sample", flow_run, location_place(str(parameters.requests))) as record:
        registry = Registry.open(lake)
        model = find_model(registry, parameters.model)
        record.reads(model_place(lake, MODEL_NAME, model.version))
        run = TableRun(pull_task(registry, model, lake), parameters.folder, rows, parameters.audio_output())
        for line in run.prepare():
            say(line)
        try:
            composed = table_task(parameters, run) if run.pending else 0
        except JobError as error:
            raise RunError(f"sampling stopped: {error}; what was composed is kept, the same command goes on") from error
        run.write_index(parameters.index)
        record.writes(file_place(str(parameters.index)))
    failed = dict(sorted(run.errors.items()))
    return TableReport(model.version, len(rows), composed, failed, str(parameters.folder), str(parameters.index))
