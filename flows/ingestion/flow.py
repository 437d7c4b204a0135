"""The ingestion flow: collections of MIDI files → a published dataset version."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.ingestion.card import markdown
from flows.ingestion.engines import Engine, JobError, open_engine
from flows.ingestion.pipeline import (
    IngestParameters,
    Reading,
    choose_encoding,
    decide_fates,
    publish_version,
    read_new,
    reusable,
    stock_of,
)
from flows.ingestion.publishing.publish import Published
from flows.ingestion.sources import Inventory
from flows.ingestion.workers import worker_settings
from flows.progress import stage, tick
from infra.errors import RunError
from tokenization.dataset import DatasetVersion
from tokenization.dataset.manifest import Status
from tokenization.encodings import Encoding


@dataclass(frozen=True)
class IngestReport:
    """The version that stands for the ingested files."""

    version: DatasetVersion
    reused: bool
    """Whether it was there already, so that nothing had to be done."""
    files_read: int = 0
    """Different files that no earlier run had read."""
    shards_encoded: int = 0


@task(name="scan", persist_result=False, cache_policy=NO_CACHE)
def stock_task(parameters: IngestParameters) -> Inventory:
    """List and hash every file."""
    with stage("scanning") as bar:
        stock = stock_of(parameters, bar.step)
        bar.note = f"{len(stock.files):,} files"
    return stock


@task(name="parse", persist_result=False, cache_policy=NO_CACHE)
def read_task(parameters: IngestParameters, stock: Inventory, engine: Engine) -> Reading:
    """Read what no earlier run has read: one job over partitions of files."""
    with stage("parsing", unit="files") as bar:

        def progress(done: int, total: int, refused: int) -> None:
            bar.update(done, total, f"{done - refused:,} readable, {refused:,} refused")

        reading = read_new(parameters, stock, engine, progress)
        known = len(reading.facts) - reading.files
        bar.note = f"{reading.files:,} new files, {reading.refused:,} refused" + (f"; {known:,} known" if known else "")
    return reading


@task(name="deduplicate", persist_result=False, cache_policy=NO_CACHE)
def decide_task(parameters: IngestParameters, stock: Inventory, reading: Reading) -> pl.DataFrame:
    """Duplicates, families, splits: the fate of every file."""
    with stage("deduplicating") as bar:
        manifest = decide_fates(parameters, stock, reading)
        counts = dict(manifest["status"].value_counts().iter_rows())
        bar.note = ", ".join(f"{counts.get(str(status), 0):,} {status}" for status in Status)
    return manifest


@task(name="learn", persist_result=False, cache_policy=NO_CACHE)
def learn_task(parameters: IngestParameters, manifest: pl.DataFrame, reading: Reading) -> Encoding:
    """The version's encoding: its styles, and the units that a learned encoding finds in the pieces that train."""
    with stage("learning", unit="notes") as bar:
        encoding = choose_encoding(parameters, manifest, reading, bar.step)
        vocabulary = encoding.vocabulary
        units = f", {len(vocabulary.learned):,} {vocabulary.learned.kind}s" if vocabulary.learned else ""
        bar.note = f"{encoding.name} in {encoding.time}, {len(vocabulary.styles):,} styles{units}"
    return encoding


@task(name="publish", persist_result=False, cache_policy=NO_CACHE)
def publish_task(
    parameters: IngestParameters,
    stock: Inventory,
    manifest: pl.DataFrame,
    reading: Reading,
    encoding: Encoding,
    engine: Engine,
) -> Published:
    """Encode what is new, and publish shards, manifest and card as one version."""
    with stage("publishing", unit="shards") as bar:
        published = publish_version(parameters, stock, manifest, reading, encoding, engine, bar.step)
        bar.note = f"{published.version}, {published.encoded:,} of {published.shards:,} shards encoded"
    return published


@flow(name="ingest", persist_result=False)
def ingest(parameters: IngestParameters) -> IngestReport:
    """Ingest collections; files and settings that were ingested before give the version made then."""
    try:
        with open_engine(
            parameters.engine, parameters.workers, worker_settings(parameters.reading), parameters.cluster
        ) as engine:
            stock = stock_task(parameters)
            known = reusable(parameters, stock)
            if known is not None:
                tick(f"ingestion: nothing changed, {known} is reused")
                return IngestReport(known, reused=True)
            reading = read_task(parameters, stock, engine)
            manifest = decide_task(parameters, stock, reading)
            encoding = learn_task(parameters, manifest, reading)
            published = publish_task(parameters, stock, manifest, reading, encoding, engine)
    except JobError as error:
        raise RunError(f"ingestion stopped: {error}; what was read is kept, the same command goes on") from error
    create_markdown_artifact(key="dataset", markdown=markdown(published.version), description=str(published.version))
    return IngestReport(published.version, False, reading.files, published.encoded)
