"""The steps of ingestion as plain functions: scan, parse what is new, deduplicate, publish."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from flows.ingestion.dedup import Duplicates, Limits
from flows.ingestion.dedup.build_manifest import build_manifest
from flows.ingestion.dedup.splits import SplitShares
from flows.ingestion.engines import Engine, EngineName, JobError, LazySequence
from flows.ingestion.parsing import ParseJob, ParseLimits, parse
from flows.ingestion.parsing.store import VERSION, Store
from flows.ingestion.publishing.encoding import TokenSettings, encoding_of
from flows.ingestion.publishing.publish import Publication, Published, publish
from flows.ingestion.publishing.sharding import Augmentation, EncodingChoice
from flows.ingestion.sources import (
    Collection,
    Inventory,
    Progress,
    file_refs,
    in_reading_order,
    number_partitions,
    scan,
)
from flows.parameters import LakeAddress
from infra.digests import canonical_digest
from infra.hardware import available_cores
from infra.lake import Lake
from infra.object_store import folders_in, reachable
from tokenization.dataset.catalogue import dataset_versions, find_by_input
from tokenization.dataset.manifest import Reason
from tokenization.dataset.version import DatasetVersion
from tokenization.encodings import Encoding

TRANSIENT = [str(reason) for reason in (Reason.UNREADABLE_FILE, Reason.PARSER_CRASHED, Reason.TIMED_OUT)]
"""Refusals that may have another cause than the file's bytes: the next run tries again."""
IN_STOCK = ("sha256", "part", "row")


class IngestParameters(BaseModel):
    """What to ingest, into which dataset, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    collections: list[Collection] = Field(min_length=1)
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """The dataset: lower-case letters, digits, `_` and `-`."""
    tokens: TokenSettings = TokenSettings()
    limits: Limits = Limits()
    reading: ParseLimits = ParseLimits()
    duplicates: Duplicates = Duplicates()
    splits: SplitShares = SplitShares()
    augmentation: Augmentation = Augmentation()
    partition_files: int = Field(512, ge=16)
    """Files, on average, that are read and published together."""
    engine: EngineName = EngineName.LOCAL
    workers: int = Field(default_factory=available_cores, ge=1)
    """Processes of an engine that is started for the run. Engine and workers are without influence on the result."""
    cluster: str | None = None
    """Address of a running Ray or Dask cluster."""
    lake: LakeAddress
    """A folder, or the URL of one in an object store."""

    def content_settings(self) -> dict[str, Any]:
        """The settings that the dataset's content depends on."""
        chosen = {"limits", "duplicates", "splits", "augmentation", "partition_files"}
        plain = self.model_dump(mode="json", include=chosen)
        return {**plain, "tokens": self.tokens.content(), "max_bytes": self.reading.max_bytes}


@dataclass(frozen=True)
class Reading:
    """What the store knows of a stock, and what this run added to it.

    `facts`: `Store.facts` of the stock's pieces.
    """

    facts: pl.DataFrame
    files: int
    """Different files that were read now."""
    refused: int


def stock_of(parameters: IngestParameters, progress: Progress) -> Inventory:
    """List and hash all files. Raises UserError for collections that cannot be read."""
    lake = Lake.at(parameters.lake)
    folders_in(lake.datasets)  # a store that cannot be used is found out before all files are hashed
    return scan(
        parameters.collections,
        lake=lake.address,
        index_folder=lake.cache / "archives",
        max_bytes=parameters.reading.max_bytes,
        threads=parameters.workers,
        progress=progress,
    )


def input_key(parameters: IngestParameters, stock: Inventory) -> str:
    """Equal for equal files, rules and settings: they give an equal version."""
    encoding = parameters.tokens.base_encoding()
    return canonical_digest(
        {
            "files": stock.digest,
            "settings": parameters.content_settings(),
            "store": VERSION,
            "encoding": [encoding.version, encoding.vocabulary.digest],
        }
    )


def reusable(parameters: IngestParameters, stock: Inventory) -> DatasetVersion | None:
    """The version made from exactly these files and settings, found without reading them.

    None, too, if a file of it is to be tried again.
    """
    known = find_by_input(dataset_versions(Lake.at(parameters.lake), parameters.name), input_key(parameters, stock))
    if known is None:
        return None
    again = pl.col("reason").is_in(TRANSIENT) & pl.col("sha256").is_not_null()
    return None if known.manifest.select(again.any()).item() else known


def unread(parameters: IngestParameters, stock: Inventory) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The stock's facts that the store has, and the different files that it lacks (columns of `Inventory.files`)."""
    facts = Store(Lake.at(parameters.lake).pieces).facts()
    known = facts.filter(~pl.col("refusal").is_in(TRANSIENT).fill_null(False))
    known = known.join(stock.files.select("sha256").drop_nulls().unique(), on="sha256", how="semi")
    files = stock.files.with_columns(number_partitions(stock.files, parameters.partition_files))
    lacking = files.drop_nulls("sha256").unique("sha256", keep="first", maintain_order=True)
    return known, lacking.join(known, on="sha256", how="anti", maintain_order="left")


def read_new(
    parameters: IngestParameters, stock: Inventory, engine: Engine, progress: Callable[[int, int, int], None]
) -> Reading:
    """Read what the store lacks, a partition at a time. `progress`: files read, of how many, refused so far."""
    lake = Lake.at(parameters.lake)
    known, lacking = unread(parameters, stock)
    # The rows of a partition stand together; the largest come first, so that no worker is left with one at the end.
    partitions = lacking.group_by("partition", maintain_order=True).len("files")
    spans = partitions.select("files", first=pl.col("files").cum_sum() - pl.col("files")).sort("files", descending=True)

    def job(number: int) -> ParseJob:
        files, first = spans.row(number)
        rows = in_reading_order(lacking.slice(first, files))
        return ParseJob(tuple(file_refs(rows)), tuple(rows["sha256"]), lake.pieces, parameters.reading)

    jobs = LazySequence(len(spans), job)
    parts: list[str] = []
    files = refused = 0
    for _, parsed in engine.run(parse, jobs):
        parts.append(parsed.part)
        files += parsed.files
        refused += parsed.refused
        progress(files, len(lacking), refused)
    new = Store(lake.pieces).facts(sorted(parts))
    if len(new) < len(lacking):
        raise JobError(f"parsed files are missing from {lake.pieces}; give all workers access to the same lake")
    return Reading(pl.concat([known, new]), len(lacking), refused)


def decide_fates(parameters: IngestParameters, stock: Inventory, reading: Reading) -> pl.DataFrame:
    """The manifest of the version to come."""
    return build_manifest(
        stock.files,
        reading.facts,
        parameters.limits,
        parameters.duplicates,
        parameters.splits,
        parameters.partition_files,
        _inherited(parameters),
    )


def choose_encoding(
    parameters: IngestParameters, manifest: pl.DataFrame, reading: Reading, progress: Progress
) -> Encoding:
    """The encoding of the version to come, with its styles and units. `progress`: notes learned from, of how many."""
    lake = Lake.at(parameters.lake)
    versions = dataset_versions(lake, parameters.name)
    parent = versions[-1] if versions else None
    return encoding_of(parameters.tokens, manifest, reading.facts.select(IN_STOCK), lake.pieces, parent, progress)


def publish_version(
    parameters: IngestParameters,
    stock: Inventory,
    manifest: pl.DataFrame,
    reading: Reading,
    encoding: Encoding,
    engine: Engine,
    progress: Progress,
) -> Published:
    """Encode and publish a version."""
    lake = Lake.at(parameters.lake)
    versions = dataset_versions(lake, parameters.name)
    publication = Publication(
        parameters.name,
        EncodingChoice.of(encoding, parameters.tokens.sustain, parameters.augmentation),
        parameters.content_settings(),
        input_key(parameters, stock),
        versions[-1].digest if versions else None,
        stock.ignored,
    )
    with reachable(lake.datasets):
        return publish(lake, manifest, reading.facts.select(IN_STOCK), publication, engine, progress)


def _inherited(parameters: IngestParameters) -> pl.DataFrame | None:
    """Where the dataset's newest version placed its pieces, if it was split by the same rule."""
    versions = dataset_versions(Lake.at(parameters.lake), parameters.name)
    if not versions or versions[-1].description.settings["splits"] != parameters.splits.model_dump(mode="json"):
        return None
    return versions[-1].manifest.drop_nulls("split").select("sha256", "split")
