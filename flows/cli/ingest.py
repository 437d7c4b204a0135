"""The command that turns MIDI collections into a dataset version."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.cli.options import (
    encoding_option,
    json_option,
    lake_option,
    settings_option,
    time_option,
    vocabulary_option,
)
from flows.cli.output import LISTED, show
from flows.cli.running import errors, running
from infra.lake import Lake
from infra.wording import counted

if TYPE_CHECKING:
    from flows.ingestion.parameters import IngestParameters
    from flows.ingestion.queries import DryRun


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--name", help="Name of the dataset.  [default: that of the collections.toml]")
@click.option("--style", help="Style label of all files.  [default: the first folder below SOURCE]")
@click.option("--licence", help="Licence of the files, for the manifest.  [default: not stated]")
@click.option(
    "--for",
    "model",
    metavar="MODEL",
    help="Encode it as a model's training data, to train that one further: an alias, version, file, or `starter`.",
)
@encoding_option
@time_option
@vocabulary_option
@click.option("--units", type=click.IntRange(1), help="Number of chords or merges that a learned encoding learns.")
@click.option("--sustain", is_flag=True, default=None, help="Extend notes for as long as the sustain pedal holds them.")
@click.option("--copies", type=click.IntRange(0), help="Augmented variants of each training piece.  [default: 0]")
@click.option("--seed", type=int, help="Seed of the variants.  [default: 0]")
@settings_option("Change a setting: limits.min_notes=8.")
@click.option("--accept", multiple=True, metavar="RULE", help="Publish even if this rule is broken; may be repeated.")
@click.option(
    "--engine", type=click.Choice(["local", "ray", "dask"]), help="Engine that reads the files.  [default: local]"
)
@click.option("--cluster", metavar="ADDRESS", help="Address of a running Ray or Dask cluster.")
@click.option("--workers", type=click.IntRange(1), help="Worker processes of the engine.  [default: all cores]")
@click.option("--dry-run", is_flag=True, help="Report what would be done, without doing it.")
@lake_option
@json_option
def ingest(
    sources: tuple[str, ...],
    settings: dict[str, str],
    dry_run: bool,
    lake: Lake,
    as_json: bool,
    **choices: Any,
) -> None:
    """Turn MIDI files into a dataset version.

    SOURCE is a folder, a file, a .zip, .tar or .tar.gz, a URL of an object store, or a collections.toml.
    """
    with errors():  # before a server is started, which takes seconds
        parameters = _parameters(sources, settings, lake, choices)
    if dry_run:
        with errors():
            from flows.ingestion import queries
            from flows.progress import stage

            with stage("scanning") as bar:
                planned = queries.dry_run(parameters, bar.step)
        show(asdict(planned), _plan_lines(planned), as_json)
        return
    with running(lake, "flows.ingestion.flow"):
        from flows.ingestion.flow import ingest as ingest_flow
        from flows.ingestion.gates import GateError, describe_broken

        try:
            report = ingest_flow(parameters)
        except GateError as error:
            if as_json:
                gates = [result.model_dump() for result in error.results]
                show({"name": parameters.name, "published": False, "gates": gates}, [], as_json)
            raise
    version = report.version
    about = version.description
    lines = [f"dataset {version}  {version.folder}"]
    lines += [f"  {count:>8,}  {outcome}" for outcome, count in about.outcomes.items()]
    lines += [f"  accepted: {describe_broken(rule)}" for rule in about.gates if rule.outcome == "accepted"]
    lines += [f"  card: {version.folder / 'card.html'}"]
    summary = about.model_dump(mode="json", exclude={"shards", "statistics"})
    show({**summary, "folder": str(version.folder), "reused": report.reused}, lines, as_json)


def _parameters(
    sources: tuple[str, ...], changes: dict[str, str], lake: Lake, choices: dict[str, Any]
) -> IngestParameters:
    """Return the parameters that a command line gives; `--set` wins over an option. Raises UserError."""
    from flows.ingestion.parameters import parameters_from
    from flows.ingestion.sources.listing import check_location
    from infra.errors import UserError

    name = choices.pop("name") or _only_toml(sources)
    if name is None:
        raise UserError("the dataset has no name; give one with --name")
    style, licence, accept = (choices.pop(key) for key in ("style", "licence", "accept"))
    of_model = _tokens_for(lake, choices.pop("model"), choices)
    options = {f"augmentation.{key}": choices.pop(key) for key in ("copies", "seed")}
    options |= {f"tokens.{key}": choices.pop(key) for key in ("encoding", "time", "vocabulary", "units", "sustain")}
    options |= {**choices, "accept": accept or None, **of_model}
    changes = {**{key: value for key, value in options.items() if value is not None}, **changes}
    parameters = parameters_from(sources, name, lake.address, style, licence, changes)
    parameters.tokens.base_encoding()  # raises for a bad vocabulary before anything is listed
    for collection in parameters.collections:
        check_location(collection.location)
    return parameters


def _tokens_for(lake: Lake, model: str | None, choices: dict[str, Any]) -> dict[str, str]:
    """Return the settings of a model's tokens. Raises UserError for an unknown model, and for options beside it."""
    from infra.errors import UserError

    if model is None:
        return {}
    beside = [name for name in ("encoding", "time", "vocabulary", "units") if choices[name] is not None]
    if beside:
        raise UserError(f"--for {model} chooses encoding and vocabulary: leave --{beside[0]} out")
    from flows.warm_start.tokens import changes_for

    return changes_for(lake, model)


def _only_toml(sources: tuple[str, ...]) -> str | None:
    """Return the name of a collections.toml that is the only source."""
    return Path(sources[0]).stem if len(sources) == 1 and sources[0].endswith(".toml") else None


def _plan_lines(plan: DryRun) -> list[str]:
    from flows.ingestion.sources import describe_unused

    lines = []
    for collection in plan.collections:
        left_out = ", ".join(
            f"{count:,} {suffix or 'without suffix'}" for suffix, count in collection["ignored"].items()
        )
        files = counted(collection["files"], "file")
        lines.append(f"{collection['collection']}: {files}, {collection['bytes'] / 1e6:,.1f} MB")
        for what in ("styles", "licences"):
            shown = list(collection[what].items())
            more = f", … ({len(shown):,} {what})" if len(shown) > LISTED else ""
            lines.append(f"  {what}: " + ", ".join(f"{name} {count:,}" for name, count in shown[:LISTED]) + more)
        refused = collection["not_allowed"]
        lines += [f"  licence not allowed: {refused:,} of {files}"] if refused else []
        lines += [f"  left out: {left_out}"] if left_out else []
        lines += [f"  {line}" for line in describe_unused(collection["unused_labels"])]
    lines += [f"cannot be read: {file}: {why}" for file, why in plan.unreadable[:LISTED]]
    if plan.version:
        lines.append(f"nothing changed: {plan.version} would be reused")
    else:
        lines.append(f"{plan.unparsed:,} of {counted(plan.files, 'file')} would be read, and a new version published")
    return lines
