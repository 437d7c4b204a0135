"""Commands on datasets: ingest collections, and ask what became of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.cli.common import (
    encoding_option,
    errors,
    json_option,
    lake_option,
    running,
    settings_of,
    show,
    time_option,
    vocabulary_option,
)
from infra.lake import Lake

if TYPE_CHECKING:
    from flows.ingestion.pipeline import IngestParameters
    from flows.ingestion.queries import Difference, Plan
    from flows.ingestion.sources import Collection
    from infra.errors import UserError

LISTED = 20
"""Lines of a kind that a report shows; `--json` has all."""


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--name", help="The dataset.  [default: the name of a collections.toml]")
@click.option("--style", help="One style label for all files; by default the first folder below SOURCE names it.")
@click.option("--licence", help="Licence of the files, for the manifest.  [default: not stated]")
@encoding_option
@time_option
@vocabulary_option
@click.option("--units", type=click.IntRange(1), help="Chords or merges that a learned encoding learns.")
@click.option("--sustain", is_flag=True, default=None, help="Notes last as long as the sustain pedal holds them.")
@click.option("--copies", type=click.IntRange(0), help="Augmented variants of each piece that trains.  [default: 0]")
@click.option("--seed", type=int, help="Seed of the variants.  [default: 0]")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting: limits.min_notes=8.")
@click.option("--engine", type=click.Choice(["local", "ray", "dask"]), help="Where files are read.  [default: local]")
@click.option("--cluster", metavar="ADDRESS", help="A running Ray or Dask cluster.")
@click.option("--workers", type=click.IntRange(1), help="Processes of the engine.  [default: all cores]")
@click.option("--dry-run", is_flag=True, help="Show what would be done.")
@lake_option
@json_option
def ingest(
    sources: tuple[str, ...],
    settings: tuple[str, ...],
    dry_run: bool,
    lake: Lake,
    as_json: bool,
    **choices: Any,
) -> None:
    """Turn MIDI files into a dataset version.

    SOURCE is a folder, a file, a .zip, .tar or .tar.gz, a URL of an object store, or a collections.toml.
    """
    with errors():  # mistakes first: starting a server takes seconds
        parameters = _parameters(sources, settings_of(settings), lake, choices)
    if dry_run:
        with errors():
            from flows.ingestion.queries import plan
            from flows.progress import stage

            with stage("scanning") as bar:
                planned = plan(parameters, bar.step)
        show(asdict(planned), _plan_lines(planned), as_json)
        return
    with running(lake):
        from flows.ingestion.flow import ingest as ingest_flow

        report = ingest_flow(parameters)
    version = report.version
    about = version.description
    lines = [f"dataset {version}  {version.folder}"]
    lines += [f"  {count:>8,}  {fate}" for fate, count in about["fates"].items()]
    lines += [f"  card: {version.folder / 'card.html'}"]
    summary = {key: value for key, value in about.items() if key not in ("shards", "statistics")}
    show({**summary, "folder": str(version.folder), "reused": report.reused}, lines, as_json)


def _parameters(
    sources: tuple[str, ...], changes: dict[str, str], lake: Lake, choices: dict[str, Any]
) -> IngestParameters:
    """The parameters that a command line says. Raises UserError, VocabularyError and pydantic's ValidationError."""
    from pydantic import ValidationError

    from flows.ingestion.pipeline import IngestParameters
    from infra.errors import UserError

    collections = _collections(sources, choices.pop("style"), choices.pop("licence"))
    name = choices.pop("name") or _only_toml(sources)
    if name is None:
        raise UserError("the dataset has no name; give one with --name")
    given: dict[str, Any] = {"collections": collections, "name": name, "lake": lake.address}
    inner = {f"augmentation.{key}": choices.pop(key) for key in ("copies", "seed")}
    inner |= {f"tokens.{key}": choices.pop(key) for key in ("encoding", "time", "vocabulary", "units", "sustain")}
    given |= {key: value for key, value in choices.items() if value is not None}
    changes = {key: str(value) for key, value in inner.items() if value is not None} | changes
    try:
        parameters = IngestParameters.model_validate(_nested(given, changes))
    except ValidationError as error:
        raise _no_setting(IngestParameters, error.errors()[0]["loc"]) or error from None
    parameters.tokens.unlearned()  # a vocabulary that is none is found out before anything is listed
    return parameters


def _no_setting(model: Any, location: tuple[int | str, ...]) -> UserError | None:
    """The error for a setting that does not exist, None if there is one at that place."""
    from infra.errors import unknown_name

    *path, last = map(str, location)
    for step in path:
        model = model.model_fields[step].annotation
        if not hasattr(model, "model_fields"):
            return None
    if last in model.model_fields:
        return None
    return unknown_name("setting", ".".join((*path, last)), [".".join((*path, name)) for name in model.model_fields])


def _nested(given: dict[str, Any], changes: dict[str, str]) -> dict[str, Any]:
    """`limits.min_notes=8` as {"limits": {"min_notes": "8"}}. Raises UserError for a key inside of a plain one."""
    from infra.errors import UserError

    for key, value in changes.items():
        *path, last = key.split(".")
        inner = given
        for step in path:
            inner = inner.setdefault(step, {})
            if not isinstance(inner, dict):
                raise UserError(f"there is no setting {key!r}: {step} has none inside")
        inner[last] = _value(key, value)
    return given


def _value(key: str, text: str) -> Any:
    """Lists and tables are written as JSON; anything else is for the setting's own type to read."""
    from infra.errors import UserError

    if not text.startswith(("[", "{")):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{key} = {text}: neither a value nor JSON: {error}") from error


def _collections(sources: tuple[str, ...], style: str | None, licence: str | None) -> list[Collection]:
    from flows.ingestion.sources import collection_of, load_collections
    from infra.errors import UserError

    if (style or licence) and any(source.endswith(".toml") for source in sources):
        raise UserError("--style and --licence are for plain sources; a collections.toml says them for each collection")
    plain = [source for source in sources if not source.endswith(".toml")]
    stems = [Path(source.rstrip("/")).name.split(".")[0] or Path(source).resolve().name or "root" for source in plain]
    names = stems if len(set(stems)) == len(stems) else plain
    collections = [
        collection_of(name, source, licence=licence or "not stated", style=style)
        for name, source in zip(names, plain, strict=True)
    ]
    for source in sources:
        if source.endswith(".toml"):
            collections += load_collections(Path(source))
    return collections


def _only_toml(sources: tuple[str, ...]) -> str | None:
    return Path(sources[0]).stem if len(sources) == 1 and sources[0].endswith(".toml") else None


def _plan_lines(plan: Plan) -> list[str]:
    lines = []
    for collection in plan.collections:
        left_out = ", ".join(
            f"{count:,} {suffix or 'without suffix'}" for suffix, count in collection["ignored"].items()
        )
        lines.append(f"{collection['collection']}: {collection['files']:,} files, {collection['bytes'] / 1e6:,.1f} MB")
        shown = list(collection["styles"].items())
        more = f", … ({len(shown):,} styles)" if len(shown) > LISTED else ""
        lines.append("  styles: " + ", ".join(f"{style} {count:,}" for style, count in shown[:LISTED]) + more)
        lines += [f"  left out: {left_out}"] if left_out else []
    lines += [f"cannot be read: {file}: {why}" for file, why in plan.unreadable[:LISTED]]
    if plan.version:
        lines.append(f"nothing changed: {plan.version} would be reused")
    else:
        lines.append(f"{plan.unread:,} of {plan.files:,} files would be read, and a new version published")
    return lines


@click.group(invoke_without_command=True)
@lake_option
@json_option
@click.pass_context
def datasets(context: click.Context, lake: Lake, as_json: bool) -> None:
    """List published dataset versions, or show or compare them."""
    if context.invoked_subcommand:
        return
    with errors():
        from tokenization.dataset.version import dataset_versions

        versions = dataset_versions(lake)
    lines = [
        f"{v}  {v.description['created']}  {sum(v.description['pieces'].values()):,} pieces, "
        f"{sum(v.description['tokens'].values()):,} tokens"
        for v in versions
    ]
    show([v.description for v in versions], lines or ["no dataset yet; `musenet ingest PATH --name NAME`"], as_json)


@datasets.command(name="show")
@click.argument("reference", metavar="NAME[@DIGEST]")
@lake_option
@json_option
def show_dataset(reference: str, lake: Lake, as_json: bool) -> None:
    """Say what a dataset version holds."""
    with errors():
        from flows.ingestion.card import markdown
        from tokenization.dataset.version import find_version

        version = find_version(lake, reference)
        lines = [markdown(version)]
    show({**version.description, "folder": str(version.folder)}, lines, as_json)


@datasets.command()
@click.argument("before", metavar="NAME@DIGEST")
@click.argument("after", metavar="NAME[@DIGEST]")
@lake_option
@json_option
def diff(before: str, after: str, lake: Lake, as_json: bool) -> None:
    """Say what changed from one dataset version to another."""
    with errors():
        from flows.ingestion.queries import difference
        from tokenization.dataset.version import find_version

        first, second = find_version(lake, before), find_version(lake, after)
        changes = difference(first, second)
    show(asdict(changes), [f"{first} → {second}", *_difference_lines(changes)], as_json)


def _difference_lines(changes: Difference) -> list[str]:
    lines = [f"  {key}: {before} → {after}" for key, (before, after) in changes.settings.items()]
    for sign, word, files in (
        ("+", "added", changes.added),
        ("-", "removed", changes.removed),
        ("~", "changed", changes.changed),
    ):
        lines += [f"{len(files):,} files {word}"] if files else []
        lines += [f"  {sign} {file}" for file in files[:LISTED]] + _more(files)
    for word, rows in (("fates", changes.fates), ("splits", changes.splits), ("styles", changes.styles)):
        lines += [f"{len(rows):,} {word} changed"] if rows else []
        lines += [f"    {row['file']}: {row['before']} → {row['after']}" for row in rows[:LISTED]] + _more(rows)
    return lines or ["  no difference"]


def _more(rows: list[Any]) -> list[str]:
    return [f"    … and {len(rows) - LISTED:,} more (--json has all)"] if len(rows) > LISTED else []


@click.command()
@click.argument("path")
@click.option("--dataset", help="NAME or NAME@DIGEST.  [default: the newest version of every dataset]")
@lake_option
@json_option
def why(path: str, dataset: str | None, lake: Lake, as_json: bool) -> None:
    """Say what became of a file, and why. PATH may also be a path in a collection or a SHA-256."""
    with errors():
        from flows.ingestion.queries import fates_of
        from tokenization.dataset.version import dataset_versions, find_version

        newest = {version.name: version for version in dataset_versions(lake)}
        rows = fates_of([find_version(lake, dataset)] if dataset else list(newest.values()), path)
    lines = []
    for row in rows:
        reason = f" ({row['reason']}: {row['detail']})" if row["reason"] else ""
        lines.append(f"{row['version']}: {row['collection']}/{row['path']} is {row['status']}{reason}")
        facts = {
            "sha256": row["sha256"],
            "style": row["style"],
            "split": row["split"],
            "similarity": None if row["similarity"] is None else f"{row['similarity']:.2f} to the kept piece",
            "music": None if row["notes"] is None else f"{row['notes']:,} notes, {row['seconds']:.0f} s",
            "mended": ", ".join(row["repairs"] or []) or None,
            "family": None if len(row["members"]) < 2 else _listed(row["members"]),
        }
        lines += [f"  {name:10} {value}" for name, value in facts.items() if value is not None]
    show(rows, lines, as_json)


def _listed(files: list[str]) -> str:
    more = f", … and {len(files) - LISTED:,} more" if len(files) > LISTED else ""
    return f"{len(files):,} files: {', '.join(files[:LISTED])}{more}"


@click.command()
@click.argument("reference", metavar="NAME[@DIGEST]")
@click.option("--limit", type=click.IntRange(1), default=LISTED, show_default=True, help="Families to show.")
@lake_option
@json_option
def families(reference: str, limit: int, lake: Lake, as_json: bool) -> None:
    """Show families of near-duplicates with their similarity to the kept piece."""
    with errors():
        from flows.ingestion.queries import families_of
        from tokenization.dataset.version import find_version

        found = families_of(find_version(lake, reference))
    count = sum(len(family.members) for family in found)
    lines = [f"{len(found):,} families of several files, {count:,} files besides the best of each"]
    for family in found[:limit]:
        lines.append(f"{family.kept}")
        for file, reason, similarity in family.members[:LISTED]:
            lines.append(f"  {'    ' if similarity is None else f'{similarity:.2f}'}  {file}  ({reason})")
        lines += [f"        … and {len(family.members) - LISTED:,} more"] if len(family.members) > LISTED else []
    show([asdict(family) for family in found], lines, as_json)
