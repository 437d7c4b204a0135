"""The evaluation flow: pieces of a model or a folder → distances to real music, with floor and references."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from flows.evaluation.evaluation import Evaluation, Sets
from flows.evaluation.page import page
from flows.evaluation.report import REPORT_FILE, EvaluationReport
from flows.evaluation.settings import EvaluateParameters
from flows.lineage import dataset_place, file_place, location_place, model_place, recorded
from flows.progress import say, stage
from infra.errors import UserError
from infra.files import write_atomically
from infra.lake import Lake
from infra.wording import counted
from registry.composer import Composer
from registry.identity import MODEL_NAME
from registry.loading import open_composer
from registry.models import find_model
from registry.store import Registry
from tokenization.dataset import find_version

PIECES_FILE, PAGE_FILE = "pieces.parquet", "page.html"
SHORT = 12
"""Digits of a digest in the name of a folder."""


@dataclass(frozen=True)
class EvaluateReport:
    """An evaluation with its files."""

    report: EvaluationReport
    folder: str
    page: str
    pieces: str
    """Table of all pieces with their measures."""


@task(name="compose for evaluation", persist_result=False, cache_policy=NO_CACHE)
def compose_task(evaluation: Evaluation) -> list[Sets]:
    """Compose the pieces of the model and of the baselines that were not composed before."""
    with stage("evaluation: composing", evaluation.pieces_to_compose) as bar:
        sets = evaluation.compose(bar.advance)
        bar.note = counted(sum(len(each.samples) for each in sets), "piece")
    return sets


@task(name="measure", persist_result=False, cache_policy=NO_CACHE)
def measure_task(evaluation: Evaluation, sets: list[Sets]) -> tuple[EvaluationReport, pl.DataFrame]:
    """Measure all pieces and compare the sets."""
    with stage("evaluation: measuring") as bar:
        report, table = evaluation.measure(sets, bar.advance)
        bar.note = counted(len(table), "piece")
    return report, table


@flow(name="evaluate", persist_result=False)
def evaluate(parameters: EvaluateParameters) -> EvaluateReport:
    """Evaluate a model or a folder of MIDI files. Raises UserError, UnknownModel and VocabularyError."""
    lake = Lake.at(parameters.lake)
    folder = parameters.folder
    with recorded("evaluate", flow_run) as record:
        source: Composer | Path
        if folder is None:
            registry = Registry.open(lake)
            model = find_model(registry, parameters.source)
            source, reference = open_composer(registry, model), parameters.dataset or model.dataset
            record.reads(model_place(lake, MODEL_NAME, model.version))
        else:
            source, reference = folder, parameters.dataset or ""
            record.reads(location_place(str(folder)))
        version = find_version(lake, reference)
        record.reads(dataset_place(lake, version))
        local = version.local(lake)
        evaluation = Evaluation(lake, local, parameters.settings, source)
        for line in evaluation.notices:
            say(line)
        sets = compose_task(evaluation)
        report, table = measure_task(evaluation, sets)
        out = parameters.out or lake.evaluations / evaluation.digest[:SHORT]
        _write(out, report, table, page(report, sets, local, parameters.blind))
        record.writes(*(file_place(out / name) for name in (REPORT_FILE, PIECES_FILE, PAGE_FILE)))
    rows = [
        {"measure": each.measure, "distance": each.distance.value, "floor": each.floor.value, "x floor": each.multiple}
        for each in report.overall.measures
    ]
    create_table_artifact(key="evaluation", table=rows, description=f"{report.source} against {report.dataset}")
    return EvaluateReport(report, str(out), str(out / PAGE_FILE), str(out / PIECES_FILE))


def _write(folder: Path, report: EvaluationReport, table: pl.DataFrame, html: str) -> None:
    """Write the files of an evaluation, the report last. Raises UserError for a folder that cannot be written."""
    parquet = io.BytesIO()
    table.write_parquet(parquet, compression="zstd")
    try:
        write_atomically(folder / PIECES_FILE, parquet.getvalue())
        write_atomically(folder / PAGE_FILE, html.encode())
        write_atomically(folder / REPORT_FILE, (report.model_dump_json(indent=1) + "\n").encode())
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from error
