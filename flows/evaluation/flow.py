"""The evaluation flow: pieces of a model or a folder → distances to real music, with floor and references.

With a second model both are measured on the same pieces, and their differences are a report of its own.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from flows.chain import ModelEvaluated, announce
from flows.evaluation.against import compare_models
from flows.evaluation.card_section import card_section
from flows.evaluation.evaluation import Evaluation, Sets
from flows.evaluation.groups import known_styles
from flows.evaluation.measured import Measured, measure
from flows.evaluation.page import page
from flows.evaluation.paired_page import paired_page
from flows.evaluation.paired_report import PairedReport
from flows.evaluation.report import REPORT_FILE, EvaluationReport
from flows.evaluation.settings import EvaluateParameters, EvaluationSettings
from flows.lineage import Record, dataset_place, file_place, location_place, model_place, recorded
from flows.progress import say, stage
from flows.warm_start.leaks import known_to
from infra.errors import UserError
from infra.files import write_atomically
from infra.lake import Lake
from infra.wording import counted
from registry.cards import put_section
from registry.composer import Composer
from registry.identity import MODEL_NAME
from registry.loading import open_composer
from registry.models import CANDIDATE, RegisteredModel, find_model, tag_version
from registry.runs import keep_page
from registry.store import Registry
from tokenization.dataset import DatasetVersion, find_version

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
    against: PairedReport | None
    """The differences to a second model."""
    against_page: str | None


@task(name="compose for evaluation", persist_result=False, cache_policy=NO_CACHE)
def compose_task(evaluation: Evaluation) -> list[Sets]:
    """Compose the pieces of the model and of the baselines that were not composed before."""
    with stage(f"{evaluation.source}: composing", evaluation.pieces_to_compose) as bar:
        sets = evaluation.compose(bar.advance)
        bar.note = counted(sum(len(each.samples) for each in sets), "piece")
    return sets


@task(name="measure", persist_result=False, cache_policy=NO_CACHE)
def measure_task(evaluation: Evaluation, sets: list[Sets]) -> Measured:
    """Measure likelihoods and all pieces, and compare the sets."""
    with stage(f"{evaluation.source}: likelihood of test pieces", len(evaluation.test_pieces[0])) as bar:
        likelihoods = evaluation.foresee(bar.advance)
    with stage(f"{evaluation.source}: measuring") as bar:
        measured = measure(evaluation, sets, likelihoods, bar.advance)
        bar.note = counted(len(measured.table), "piece")
    return measured


@flow(name="evaluate", persist_result=False)
def evaluate(parameters: EvaluateParameters) -> EvaluateReport:
    """Evaluate a model or a folder of MIDI files. Raises UserError, UnknownModel and VocabularyError."""
    lake = Lake.at(parameters.lake)
    with recorded("evaluate", flow_run) as record:
        sources, version, settings, notices = _open(parameters, lake, record)
        bundles = {source.name: source.music.files for source in sources if isinstance(source.music, Composer)}
        leaked, leaks = known_to(bundles, version)
        done = []
        said: set[str] = set()
        for number, source in enumerate(sources):
            evaluation = Evaluation(lake, version, settings, source.music, leaked)
            evaluation.notices += [*notices, *leaks]
            for line in evaluation.notices:
                if line not in said:  # of the same pieces the same is said of both models
                    say(line)
            said |= {*evaluation.notices}
            sets = compose_task(evaluation)
            measured = measure_task(evaluation, sets)
            own = lake.evaluations / evaluation.digest[:SHORT]
            out = own if number or parameters.out is None else parameters.out
            html = page(measured.report, sets, version, parameters.blind)
            _write(out, measured, html)
            record.writes(*(file_place(out / name) for name in (REPORT_FILE, PIECES_FILE, PAGE_FILE)))
            source.keep(measured.report, html)
            done.append((evaluation, measured, out))
        (first, measured, out), *others = done
        against, against_page = None, None
        for other, other_measured, _ in others:
            against = compare_models((first, measured), (other, other_measured))
            against_page = _write_pair(out, against)
            record.writes(file_place(Path(against_page)))
        _announce(lake, sources, version, out)
    _publish(measured.report, against)
    return EvaluateReport(
        measured.report, str(out), str(out / PAGE_FILE), str(out / PIECES_FILE), against, against_page
    )


@dataclass(frozen=True)
class _Source:
    """What is evaluated, with its place in the registry."""

    music: Composer | Path
    registry: Registry | None = None
    model: RegisteredModel | None = None

    @property
    def name(self) -> str:
        return str(self.music) if self.model is None else f"version {self.model.version}"

    def keep(self, report: EvaluationReport, html: str) -> None:
        """Put the figures of a report into the version's tags and card, and its page beside those of its run."""
        if self.registry is not None and self.model is not None:
            name = f"evaluation/version-{self.model.version}.html"
            for tag, value in report.tags().items():
                tag_version(self.registry, self.model.version, tag, value)
            put_section(self.registry, self.model, card_section(report, name))
            keep_page(self.registry, self.model.run_id, name, html)


def _open(
    parameters: EvaluateParameters, lake: Lake, record: Record
) -> tuple[list[_Source], DatasetVersion, EvaluationSettings, list[str]]:
    """Open the models or the folder, and the dataset; return them with settings that fit all, and notices of these."""
    references = [parameters.source, *([] if parameters.against is None else [parameters.against])]
    folder, reference = parameters.folder, parameters.dataset
    sources: list[_Source] = []
    if folder is None:
        registry = Registry.open(lake)
        for name in references:
            model = find_model(registry, name)
            sources.append(_Source(open_composer(registry, model), registry, model))
            record.reads(model_place(lake, MODEL_NAME, model.version))
            reference = reference or model.dataset
    else:
        sources.append(_Source(folder))
        record.reads(location_place(str(folder)))
    found = find_version(lake, reference or "")
    record.reads(dataset_place(lake, found))
    version = found.local(lake)
    composers = [source.music for source in sources if isinstance(source.music, Composer)]
    models = {f"version {composer.identity.version}": composer.styles for composer in composers}
    settings, notices = known_styles(version, parameters.settings, models)
    return sources, version, settings, notices


def _announce(lake: Lake, sources: list[_Source], version: DatasetVersion, out: Path) -> None:
    source = sources[0]
    if source.registry is None or source.model is None:  # a folder of files
        return
    model = find_model(source.registry, source.model.version)  # its alias may have moved meanwhile
    against = [source.model.version for source in sources[1:] if source.model is not None]
    announce(
        ModelEvaluated(
            lake=lake.address,
            version=model.version,
            dataset=f"{version.name}@{version.digest}",
            against=against[0] if against else None,
            candidate=CANDIDATE in model.aliases,
            folder=str(out),
        )
    )


def _publish(report: EvaluationReport, against: PairedReport | None) -> None:
    """Show the figures on Prefect's page."""
    rows = [
        {"measure": each.measure, "distance": each.distance.value, "floor": each.floor.value, "x floor": each.multiple}
        for each in report.overall.measures
    ]
    create_table_artifact(key="evaluation", table=rows, description=f"{report.source} against {report.dataset}")
    if against is not None:
        rows = [
            {
                "figure": each.title,
                "model": each.model,
                "against": each.against,
                "difference": each.difference.value,
                "95 %": f"{each.difference.low:.3f} to {each.difference.high:.3f}",
                "verdict": each.verdict,
            }
            for each in against.overall
        ]
        title = f"{against.model.name} against {against.against.name} on {against.dataset}"
        create_table_artifact(key="comparison", table=rows, description=title)


def _write(folder: Path, measured: Measured, html: str) -> None:
    """Write the files of an evaluation, the report last. Raises UserError for a folder that cannot be written."""
    parquet = io.BytesIO()
    measured.table.write_parquet(parquet, compression="zstd")
    _write_all(
        folder,
        {
            PIECES_FILE: parquet.getvalue(),
            PAGE_FILE: html.encode(),
            REPORT_FILE: (measured.report.model_dump_json(indent=1) + "\n").encode(),
        },
    )


def _write_pair(folder: Path, report: PairedReport) -> str:
    """Write a comparison beside the model's own report; return the path of its page. Raises UserError."""
    name = f"against-{report.against.digest[:SHORT]}"
    _write_all(
        folder,
        {
            f"{name}.html": paired_page(report).encode(),
            f"{name}.json": (report.model_dump_json(indent=1) + "\n").encode(),
        },
    )
    return str(folder / f"{name}.html")


def _write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    try:
        for name, content in files.items():
            write_atomically(folder / name, content)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from error
