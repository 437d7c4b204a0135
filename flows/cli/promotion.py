"""The commands `musenet models …` about who is champion: compare, promote, roll back, and the rules of the gate."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from flows.cli.options import json_option, lake_option, registry_option
from flows.cli.output import show
from flows.cli.running import FAILED, errors, running
from flows.cli.versions import existing, model_argument, opened_registry, opened_version
from infra.lake import Lake

COMPARED = (
    *("preset", "run", "dataset", "steps", "nats_per_note", "nats_per_token", "critic"),
    *("test_nats_per_note", "test_bits_per_second", "distance"),
)
"""Tags that `compare` shows."""
alias_option = click.option("--alias", default="champion", show_default=True, help="Alias to move.")
gate_option = click.option(
    "--gate",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="Rules of the gate.  [default: gate.toml in the lake, if there]",
)


@click.command()
@click.argument("first", metavar="MODEL")
@click.argument("second", metavar="OTHER", default="champion")
@gate_option
@lake_option
@registry_option
@json_option
def compare(first: str, second: str, gate: Path | None, lake: Lake, as_json: bool) -> None:
    """Show two versions side by side, and what the gate says of MODEL in the place of OTHER."""
    with opened_version(first, lake) as (registry, one):
        from flows.promotion.promotion import gate_of, judge_version
        from registry.models import find_model

        other = find_model(registry, second)
        verdict, paired = judge_version(lake, registry, one, other.version, gate_of(lake, gate))
    rows = [("version", one.version, other.version), ("aliases", *(", ".join(m.aliases) or "-" for m in (one, other)))]
    rows += [(name, *(m.tags.get(name, "-") for m in (one, other))) for name in COMPARED]
    names, width = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = [f"{name:{names}}  {left:{width}}  {right}" for name, left, right in rows]
    lines += [f"gate: {finding.line()}" for finding in verdict.findings]
    report: dict[str, Any] = {name: [left, right] for name, left, right in rows}
    report["verdict"] = verdict.model_dump(mode="json")
    report["paired"] = None if paired is None else paired.model_dump(mode="json")
    show(report, lines, as_json)


@click.command()
@model_argument
@alias_option
@gate_option
@click.option("--force", is_flag=True, help="Promote whatever the gate says, which is recorded.")
@lake_option
@registry_option
@json_option
def promote(model: str, alias: str, gate: Path | None, force: bool, lake: Lake, as_json: bool) -> None:
    """Make a version champion, if the gate lets it."""
    with opened_version(model, lake):  # before a server is started
        from flows.promotion.promotion import gate_of

        gate_of(lake, gate)
    with running(lake, "flows.promotion.flow"):
        from flows.promotion.flow import promote as promote_flow
        from flows.promotion.parameters import PromoteParameters

        given = PromoteParameters(model=model, alias=alias, gate=gate, force=force, lake=lake.address)
        done = promote_flow(given)
    lines = [f"gate: {finding.line()}" for finding in done.verdict.findings]
    if done.refused is None:
        instead = f" in place of version {done.before}" if done.before not in (None, done.version) else ""
        lines.append(f"version {done.version} is {done.alias}{instead}{' (forced)' if done.forced else ''}")
    lines.append(f"every figure: {done.page} among the artifacts of its run in MLflow")
    show({**asdict(done), "verdict": done.verdict.model_dump(mode="json")}, lines, as_json)
    if done.refused is not None:
        click.echo(f"musenet: {done.refused}", err=True)
        sys.exit(FAILED)


@click.command(name="gate")
@lake_option
def gate_command(lake: Lake) -> None:
    """Print the rules that the gate has in a lake, as TOML to keep and change."""
    with errors():
        from flows.promotion.promotion import Gate, rules_file

        file = rules_file(lake, None)
        Gate.read(file)
    click.echo(file.read_text(encoding="utf-8"), nl=False)


@click.command()
@alias_option
@lake_option
@registry_option
@json_option
def rollback(alias: str, lake: Lake, as_json: bool) -> None:
    """Give an alias back to the version that had it before."""
    with opened_registry(lake) as registry:
        from flows.chain import announcing
        from flows.promotion.promotion import roll_back

        found = existing(registry, lake)
        with announcing(lake):
            before, now = roll_back(lake, found, alias)
    show({"alias": alias, "before": before, "version": now}, [f"version {now} is {alias}, not {before}"], as_json)
