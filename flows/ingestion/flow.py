"""The ingestion flow: collections of MIDI files → a published dataset version."""

from __future__ import annotations

from dataclasses import dataclass

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.ingestion.pipeline import IngestParameters, Sorted, Stock, parse_stock, sort_out, take_stock
from flows.ingestion.publishing import DatasetVersion, find_by_input, publish
from flows.ingestion.reporting import markdown
from flows.progress import say, stage
from flows.settings import Lake


@dataclass(frozen=True)
class IngestReport:
    """The version that stands for the ingested files."""

    version: DatasetVersion
    reused: bool
    """Whether it was there already, so that nothing had to be parsed."""


@task(name="take stock", persist_result=False, cache_policy=NO_CACHE)
def stock_task(parameters: IngestParameters) -> Stock:
    """List and hash every file."""
    with stage("taking stock of files") as bar:
        stock = take_stock(parameters, bar.step)
        bar.update(len(stock.files), note=f"{len(stock.files):,} files")
    return stock


@task(name="parse and sort out", persist_result=False, cache_policy=NO_CACHE)
def parse_task(parameters: IngestParameters, stock: Stock) -> Sorted:
    """Parse the files in worker processes and give each its fate."""
    with stage("parsing") as bar:
        encoding, outcomes = parse_stock(parameters, stock, bar.step)
        sorted_out = sort_out(parameters, stock, encoding, outcomes)
        accepted = len(sorted_out.music)
        bar.update(len(outcomes), note=f"{accepted:,} accepted of {len(stock.files):,} files")
    return sorted_out


@task(name="publish", persist_result=False, cache_policy=NO_CACHE)
def publish_task(parameters: IngestParameters, sorted_out: Sorted, input_key: str) -> DatasetVersion:
    """Write shards and manifest, and publish them as one version."""
    with stage("publishing") as bar:
        version = publish(
            Lake.at(parameters.lake),
            parameters.name,
            sorted_out.entries,
            sorted_out.music,
            sorted_out.encoding,
            parameters.content_settings(),
            input_key,
        )
        bar.update(0, note=str(version))
    return version


@flow(name="ingest", persist_result=False)
def ingest(parameters: IngestParameters) -> IngestReport:
    """Ingest collections; files and settings that were ingested before give the version made then."""
    stock = stock_task(parameters)
    known = find_by_input(Lake.at(parameters.lake), parameters.name, stock.input_key)
    if known is not None:
        say(f"[green]✓[/] ingestion: nothing changed, {known} is reused")
        return IngestReport(known, reused=True)
    version = publish_task(parameters, parse_task(parameters, stock), stock.input_key)
    create_markdown_artifact(key="dataset", markdown=markdown(version), description=str(version))
    return IngestReport(version, reused=False)
