"""The stages of ingestion as plain functions of a context: scan, parse, deduplicate, choose the encoding, publish."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import polars as pl

from flows.engines import Engine, JobError, LazySequence
from flows.ingestion.context import IngestContext
from flows.ingestion.dedup.build_manifest import build_manifest
from flows.ingestion.dedup.quarantine import quarantine_licences
from flows.ingestion.gates import check_gates
from flows.ingestion.parsing import ParseJob, parse
from flows.ingestion.parsing.store import VERSION, Store
from flows.ingestion.publishing import EncodingChoice, ParentChanged, Published, VersionSpec, publish
from flows.ingestion.publishing import choose_encoding as encoding_for
from flows.ingestion.sources import (
    Collection,
    Inventory,
    Progress,
    assign_partitions,
    file_refs,
    in_reading_order,
    scan,
)
from infra.digests import canonical_digest
from infra.object_store import reachable
from tokenization.dataset.catalogue import find_by_input
from tokenization.dataset.description import CollectionInfo, GateResult
from tokenization.dataset.manifest import Reason
from tokenization.dataset.version import DatasetVersion
from tokenization.encodings import Encoding

TRANSIENT = [str(reason) for reason in (Reason.UNREADABLE_FILE, Reason.PARSER_CRASHED, Reason.TIMED_OUT)]
"""Refusals that may have another cause than the file's bytes: the next run tries again."""
ROW_REFS = ("sha256", "part", "row")
"""The columns of the facts that find a piece's row in the store."""
ATTEMPTS = 3
"""Parents on which a version is tried to be built before giving up."""


@dataclass(frozen=True)
class ParsedFiles:
    """The facts of an inventory's pieces, and how many of its files this run parsed."""

    facts: pl.DataFrame
    """`Store.facts` of the pieces."""
    files: int
    """Different files that were parsed now."""
    refused: int
    """Of these, the files that hold no usable music."""


def scan_collections(context: IngestContext, progress: Progress, remember: bool = True) -> Inventory:
    """List and hash all files, and quarantine those whose licence is not allowed.

    Without `remember` the lake is left as it is. Raises UserError for collections that cannot be read.
    """
    parameters, lake = context.parameters, context.lake
    inventory = scan(
        parameters.collections,
        lake=lake.address,
        index_folder=lake.cache / "archives",
        max_bytes=parameters.reading.max_bytes,
        threads=parameters.workers,
        progress=progress,
        remember=remember,
    )
    return replace(inventory, files=quarantine_licences(inventory.files, parameters.licences))


def input_key(context: IngestContext, inventory: Inventory) -> str:
    """Return a digest of files, rules and settings: equal keys give equal versions."""
    parameters = context.parameters
    encoding = parameters.tokens.base_encoding()
    return canonical_digest(
        {
            "files": inventory.digest,
            "settings": parameters.content_settings(),
            "store": VERSION,
            "encoding": [encoding.version, encoding.vocabulary.digest],
        }
    )


def reusable_version(context: IngestContext, inventory: Inventory) -> DatasetVersion | None:
    """Find the version made from exactly these files and settings, without parsing any file.

    None if there is none, or if a file of it was refused for a reason that may have passed.
    """
    known = find_by_input(context.versions, input_key(context, inventory))
    if known is None:
        return None
    again = pl.col("reason").is_in(TRANSIENT) & pl.col("sha256").is_not_null()
    return None if known.manifest.select(again.any()).item() else known


def unparsed_files(context: IngestContext, inventory: Inventory) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Compare the inventory with the store.

    Returns the facts of the files that the store has, and the different files that it lacks (columns of
    `Inventory.files` and `partition`). Files that have a reason already, such as their licence, count for neither.
    """
    facts = Store(context.lake.pieces, context.lake.facts).facts()
    known = facts.filter(~pl.col("refusal").is_in(TRANSIENT).fill_null(False))
    wanted = inventory.files.filter(pl.col("reason").is_null())
    known = known.join(wanted.select("sha256").unique(), on="sha256", how="semi")
    files = _in_partitions(context, inventory)
    different = files.filter(pl.col("reason").is_null()).unique("sha256", keep="first", maintain_order=True)
    return known, different.join(known, on="sha256", how="anti", maintain_order="left")


def _in_partitions(context: IngestContext, inventory: Inventory) -> pl.DataFrame:
    """Return the files of an inventory with the column `partition`."""
    size = context.parameters.partition_files
    return inventory.files.with_columns(assign_partitions(inventory.files, size, context.inherited_partitions()))


def parse_new(
    context: IngestContext, inventory: Inventory, engine: Engine, progress: Callable[[int, int, int], None]
) -> ParsedFiles:
    """Parse the files that the store lacks, a partition or several small ones at a time.

    `progress`: files parsed, of how many, refused.
    """
    pieces = context.lake.pieces
    known, lacking = unparsed_files(context, inventory)
    # The rows of a partition stand together; the largest come first, so that no worker is left with one at the end.
    partitions = lacking.group_by("partition", maintain_order=True).len("files")
    # Small ones share a job: a further worker's start costs more than reading hundreds of files.
    jobs = partitions.with_columns(first=pl.col("files").cum_sum() - pl.col("files"))
    together = (pl.col("first") // context.parameters.partition_files).alias("job")
    spans = jobs.group_by(together, maintain_order=True).agg(pl.col("files").sum(), pl.col("first").min())
    spans = spans.select("files", "first").sort("files", descending=True)

    def job(number: int) -> ParseJob:
        files, first = spans.row(number)
        rows = in_reading_order(lacking.slice(first, files))
        return ParseJob(tuple(file_refs(rows)), tuple(rows["sha256"]), pieces, context.parameters.reading)

    parts: list[str] = []
    files = refused = 0
    for _, parsed in engine.run(parse, LazySequence(len(spans), job)):
        parts.append(parsed.part)
        files += parsed.files
        refused += parsed.refused
        progress(files, len(lacking), refused)
    new = Store(pieces, context.lake.facts).facts(sorted(parts))
    if len(new) < len(lacking):
        raise JobError(f"parsed files are missing from {pieces}; give all workers access to the same lake")
    return ParsedFiles(pl.concat([known, new]), len(lacking), refused)


def deduplicate(context: IngestContext, inventory: Inventory, parsed: ParsedFiles) -> pl.DataFrame:
    """Build the manifest: duplicates, families, splits, the outcome of every file."""
    parameters = context.parameters
    return build_manifest(
        _in_partitions(context, inventory),
        parsed.facts,
        parameters.limits,
        parameters.duplicates,
        parameters.splits,
        context.inherited_splits(),
        context.lake.tested_pairs(parameters.name),
    )


def check(context: IngestContext, manifest: pl.DataFrame) -> list[GateResult]:
    """Check a manifest against the rules for publishing. Raises GateError."""
    parameters, parent = context.parameters, context.parent
    before = None if parent is None else parent.description
    return check_gates(parameters.name, manifest, parameters.gates, before, parameters.accept)


def check_again(context: IngestContext, version: DatasetVersion) -> list[GateResult]:
    """Check a version that exists as if it were published now. Raises GateError.

    The newest version is compared with the one that it followed, and what was accepted then is accepted still. Any
    other is compared with the newest, in whose place it would be taken.
    """
    parameters, newest = context.parameters, context.parent
    compared, accept = newest, set(parameters.accept)
    if newest is not None and version.digest == newest.digest:
        parent = version.description.parent
        compared = next((each for each in context.versions if each.digest == parent), None)
        accept |= {result.rule for result in version.description.gates if result.outcome == "accepted"}
    before = None if compared is None else compared.description
    return check_gates(parameters.name, version.manifest, parameters.gates, before, accept)


def choose_encoding(
    context: IngestContext, manifest: pl.DataFrame, parsed: ParsedFiles, progress: Progress
) -> Encoding:
    """Choose the encoding with its styles and learned tokens. `progress`: notes learned from, of how many."""
    row_refs = parsed.facts.select(ROW_REFS)
    tokens, pieces = context.parameters.tokens, context.lake.pieces
    return encoding_for(tokens, manifest, row_refs, pieces, context.parent, progress)


def publish_version(
    context: IngestContext,
    inventory: Inventory,
    manifest: pl.DataFrame,
    parsed: ParsedFiles,
    encoding: Encoding,
    engine: Engine,
    progress: Progress,
) -> Published:
    """Encode and publish a version.

    Raises GateError if it breaks a rule, ParentChanged if another one has appeared since the context was resolved.
    """
    parameters, lake = context.parameters, context.lake
    spec = VersionSpec(
        lake,
        parameters.name,
        EncodingChoice.of(encoding, parameters.tokens.sustain, parameters.augmentation),
        parameters.originality,
        parameters.content_settings(),
        input_key(context, inventory),
        inventory.ignored,
        tuple(map(_info, parameters.collections)),
        tuple(check(context, manifest)),
        context.versions,
    )
    with reachable(lake.datasets):
        return publish(spec, manifest, parsed.facts.select(ROW_REFS), engine, progress)


def build_on_newest(
    context: IngestContext,
    build: Callable[[IngestContext], Published],
    on_change: Callable[[ParentChanged], None],
) -> Published:
    """Run the stages that depend on the parent version, from deduplication to publishing.

    When another ingestion has published meanwhile they run again with the new parent, so that splits and encoding are
    inherited from it; `on_change` is told. Raises the last ParentChanged after ATTEMPTS of them.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return build(context)
        except ParentChanged as change:
            on_change(change)
            context = context.renewed()
    return build(context)


def _info(collection: Collection) -> CollectionInfo:
    return CollectionInfo(
        name=collection.name,
        location=collection.location,
        include=[*collection.include],
        exclude=[*collection.exclude],
    )
