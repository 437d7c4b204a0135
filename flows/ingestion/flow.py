"""The ingestion flow: collections of MIDI files → a published dataset version."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import polars as pl
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from flows.attempts import RETRIES
from flows.chain import DatasetPublished, announce
from flows.engines import Engine, JobError, open_engine
from flows.ingestion.card import gates_markdown, markdown
from flows.ingestion.context import IngestContext
from flows.ingestion.dedup.equal_music import compile_search
from flows.ingestion.gates import GateError
from flows.ingestion.parameters import IngestParameters
from flows.ingestion.pipeline import (
    ParsedFiles,
    build_on_newest,
    check,
    check_again,
    choose_encoding,
    deduplicate,
    parse_new,
    publish_version,
    reusable_version,
    scan_collections,
)
from flows.ingestion.publishing import ParentChanged, Published
from flows.ingestion.sources import Inventory, describe_unused
from flows.ingestion.workers import worker_settings
from flows.lineage import dataset_place, location_place, recorded
from flows.metrics import write_dataset
from flows.progress import stage, tick, warn
from flows.retention.guard import in_use
from infra.errors import RunError
from infra.lake import Lake
from infra.services.flow_run import whole
from infra.services.slots import ingestion_limit, slot
from infra.wording import counted
from tokenization.dataset import DatasetVersion
from tokenization.dataset.manifest import Status
from tokenization.encodings import Encoding


@dataclass(frozen=True)
class IngestReport:
    """The outcome of an ingestion."""

    version: DatasetVersion
    reused: bool
    """True if the version existed already, so that nothing was parsed."""
    files_read: int = 0
    """Different files that no earlier run had parsed."""
    shards_encoded: int = 0


@task(name="scan", persist_result=False, cache_policy=NO_CACHE, **RETRIES)
def scan_task(context: IngestContext) -> Inventory:
    """List and hash every file."""
    with stage("scanning") as bar:
        inventory = scan_collections(context, bar.step)
        bar.note = counted(len(inventory.files), "file")
    for collection, unused in inventory.unused_labels.items():
        for line in describe_unused(unused):
            warn(f"{collection}: {line}")
    return inventory


@task(name="parse", persist_result=False, cache_policy=NO_CACHE, **RETRIES)
def parse_task(context: IngestContext, inventory: Inventory, engine: Engine) -> ParsedFiles:
    """Parse the files that no earlier run has parsed: one job for each partition of files."""
    with stage("parsing", unit="files") as bar:

        def progress(done: int, total: int, refused: int) -> None:
            bar.update(done, total, f"{done - refused:,} readable, {refused:,} refused")

        parsed = parse_new(context, inventory, engine, progress)
        known = len(parsed.facts) - parsed.files
        bar.note = f"{parsed.files:,} new files, {parsed.refused:,} refused" + (f"; {known:,} known" if known else "")
    return parsed


@task(name="deduplicate", persist_result=False, cache_policy=NO_CACHE)
def deduplicate_task(context: IngestContext, inventory: Inventory, parsed: ParsedFiles) -> pl.DataFrame:
    """Find duplicates, families and splits: the outcome of every file."""
    with stage("deduplicating") as bar:
        manifest = deduplicate(context, inventory, parsed)
        counts = dict(manifest["status"].value_counts().iter_rows())
        bar.note = ", ".join(f"{counts.get(str(status), 0):,} {status}" for status in Status)
    return manifest


@task(name="check", persist_result=False, cache_policy=NO_CACHE)
def check_task(context: IngestContext, manifest: pl.DataFrame) -> None:
    """Check the rules for publishing, before anything is encoded."""
    with stage("checking") as bar:
        accepted = [result.rule for result in check(context, manifest) if result.outcome == "accepted"]
        bar.note = f"broken and accepted: {', '.join(accepted)}" if accepted else "no rule is broken"


@task(name="learn", persist_result=False, cache_policy=NO_CACHE)
def learn_task(context: IngestContext, manifest: pl.DataFrame, parsed: ParsedFiles) -> Encoding:
    """Choose the encoding: its styles, and the tokens that a learned encoding learns from the training pieces."""
    with stage("learning", unit="notes") as bar:
        encoding = choose_encoding(context, manifest, parsed, bar.step)
        vocabulary = encoding.vocabulary
        learned = f", {len(vocabulary.learned):,} {vocabulary.learned.kind}s" if vocabulary.learned else ""
        bar.note = f"{encoding.name} in {encoding.time}, {counted(len(vocabulary.styles), 'style')}{learned}"
    return encoding


@task(name="publish", persist_result=False, cache_policy=NO_CACHE, **RETRIES)
def publish_task(
    context: IngestContext,
    inventory: Inventory,
    manifest: pl.DataFrame,
    parsed: ParsedFiles,
    encoding: Encoding,
    engine: Engine,
) -> Published:
    """Encode what is new, and publish shards, manifest and card as one version."""
    with stage("publishing", unit="shards") as bar:
        published = publish_version(context, inventory, manifest, parsed, encoding, engine, bar.step)
        bar.note = f"{published.version}, {published.encoded:,} of {counted(published.shards, 'shard')} encoded"
    return published


@flow(name="ingest", flow_run_name="{parameters.name}", persist_result=False)
def ingest(parameters: IngestParameters) -> IngestReport:
    """Ingest collections; files and settings that were ingested before give the version made then.

    A version that breaks a rule for publishing is not published: the page of the run shows the rules.
    """
    sources = [location_place(collection.location) for collection in parameters.collections]
    lake = Lake.at(parameters.lake)
    with recorded("ingest", flow_run, *sources) as record, slot(ingestion_limit(parameters.name)):
        report = _ingest(parameters)
        record.writes(dataset_place(lake, report.version))
        write_dataset(report.version.description, report.files_read, report.shards_encoded)
    return report


def _ingest(parameters: IngestParameters) -> IngestReport:
    context = IngestContext.resolve(parameters)
    try:
        with open_engine(
            parameters.engine, parameters.workers, worker_settings(parameters.reading), parameters.cluster
        ) as engine:
            inventory = scan_task(whole(context))  # which raises for a bad collection before anything is written
            with in_use(context.lake):
                return _ingest_files(context.renewed(), inventory, engine)
    except JobError as error:
        raise RunError(f"ingestion stopped: {error}; what was read is kept, the same command goes on") from error
    except GateError as error:
        create_markdown_artifact(key="dataset", markdown=gates_markdown(parameters.name, error.results))
        raise


def _ingest_files(context: IngestContext, inventory: Inventory, engine: Engine) -> IngestReport:
    """Make a version of the files of an inventory, or find the one that was made of them."""
    known = reusable_version(context, inventory)
    if known is not None:
        check_again(context, known)
        newest = context.versions[-1]
        newer = "" if newest.digest == known.digest else f"; {known.name} alone names {newest}, which is newer"
        tick(f"ingestion: nothing changed, {known} is reused{newer}")
        announce(_published(context.lake, known, reused=True))
        return IngestReport(known, reused=True)
    if context.parameters.duplicates.near:
        # Needs no file, and takes as long as workers take to compile the reader: after an installation, side by side.
        threading.Thread(target=compile_search, name="compile", daemon=True).start()
    parsed = parse_task(whole(context), whole(inventory), whole(engine))

    def build(context: IngestContext) -> Published:
        given = whole(context), whole(inventory)
        manifest = deduplicate_task(*given, whole(parsed))
        check_task(whole(context), manifest)
        encoding = learn_task(whole(context), manifest, whole(parsed))
        return publish_task(*given, manifest, whole(parsed), whole(encoding), whole(engine))

    published = build_on_newest(context, build, _report_change)
    announce(_published(context.lake, published.version, reused=False))
    create_markdown_artifact(key="dataset", markdown=markdown(published.version), description=str(published.version))
    return IngestReport(published.version, False, parsed.files, published.encoded)


def _published(lake: Lake, version: DatasetVersion, reused: bool) -> DatasetPublished:
    about = version.description
    return DatasetPublished(
        lake=lake.address,
        reused=reused,
        name=about.name,
        digest=about.digest,
        dataset=f"{about.name}@{about.digest}",
        parent=about.parent,
        files=about.files,
        outcomes=about.outcomes,
        pieces=about.pieces,
        tokens=about.tokens,
    )


def _report_change(change: ParentChanged) -> None:
    warn(f"ingestion: {change}; building on it now")
