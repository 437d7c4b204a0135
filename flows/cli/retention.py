"""The command that removes what a lake no longer needs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from flows.cli.options import json_option, lake_option, registry_option
from flows.cli.output import LISTED, show
from flows.cli.running import errors
from infra.lake import Lake

if TYPE_CHECKING:
    from flows.retention.collection import Plan


@click.command()
@click.option(
    "--keep", type=click.IntRange(1), default=1, show_default=True, help="Newest versions of each dataset that stay."
)
@click.option("--older-than", "age", default="7d", show_default=True, metavar="AGE", help="Spare what is younger: 12h.")
@click.option("--samples", is_flag=True, help="Remove composed pieces, too.")
@click.option("--yes", is_flag=True, help="Remove; without it the command only lists.")
@lake_option
@registry_option
@json_option
def gc(keep: int, age: str, samples: bool, yes: bool, lake: Lake, as_json: bool) -> None:
    """List, and with --yes remove, what nothing in the lake needs.

    These are dataset versions that no run and no model refers to, store parts, archives, checkpoints of finished runs,
    and caches.
    """
    with errors():
        from flows.progress import stage
        from flows.retention.collection import carry_out, plan
        from flows.retention.rules import RetentionRules, parse_age
        from infra.services import library_environment

        os.environ.update(library_environment(lake))  # MLflow is asked what it refers to
        rules = RetentionRules(keep, parse_age(age), samples)
        found = plan(lake, rules)
        if yes:
            with stage("removing", len(found.items)) as bar:
                found = carry_out(found, bar.step)
    items = [
        {
            "kind": str(item.candidate.kind),
            "path": str(item.candidate.path),
            "bytes": item.bytes,
            "reason": item.candidate.reason,
        }
        for item in found.items
    ]
    report = {
        "removed": yes,
        "bytes": found.bytes,
        "classes": {str(kind): {"items": n, "bytes": size} for kind, (n, size) in found.by_kind.items()},
        "items": items,
        "kept": [{"version": f"{v.name}@{v.digest}", "reason": reason} for v, reason in found.kept.versions],
    }
    show(report, _lines(found, yes), as_json)


def _lines(found: Plan, removed: bool) -> list[str]:
    verb = "removed" if removed else "would be removed"
    lines = [f"{version} stays: {reason}" for version, reason in found.kept.versions]
    for kind, (count, size) in found.by_kind.items():
        lines.append(f"{kind}: {count:,}, {size / 1e6:,.1f} MB {verb}")
        of_kind = [item for item in found.items if item.candidate.kind is kind]
        lines += [
            f"  {item.candidate.path.relative_to(found.lake.root)}  {item.bytes / 1e6:,.1f} MB  {item.candidate.reason}"
            for item in of_kind[:LISTED]
        ]
        lines += [f"  … and {count - LISTED:,} more (--json has all)"] if count > LISTED else []
    if not found.items:
        return [*lines, "nothing to remove"]
    lines.append(f"{found.bytes / 1e6:,.1f} MB {verb}" + ("" if removed else "; `musenet gc --yes` removes them"))
    return lines
