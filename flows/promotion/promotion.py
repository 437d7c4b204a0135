"""Promoting a version: ask the gate, keep its verdict with the version, move the alias, and announce the outcome.

The verdict stays with the version: an outcome in the tag `gate`, a line for each rule in the tags `gate.…`, and a page
with every figure among the artifacts of its run in MLflow.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from flows.chain import ModelPromoted, ModelRefused, announce
from flows.evaluation.paired_report import PairedReport
from flows.promotion.figures import comparison_of, figures_of
from flows.promotion.gate import GATE_FILE, SHIPPED, Gate
from flows.promotion.judging import judge
from flows.promotion.verdict import Verdict
from flows.promotion.verdict_page import verdict_page
from infra.lake import Lake
from registry import aliases
from registry.models import CHAMPION, RegisteredModel, find_model, retag_version
from registry.runs import keep_page
from registry.store import Registry

VERDICT_TAG = "gate"
"""Tag of a version with the newest verdict on it, as JSON; begins the tags with what each rule found."""


@dataclass(frozen=True)
class Promotion:
    """What became of a version that was to have an alias."""

    version: str
    alias: str
    before: str | None
    """The version that had it."""
    forced: bool
    """True if the gate did not let it pass."""
    verdict: Verdict
    page: str
    """The verdict with every figure, in MLflow: below the artifacts of the version's run."""
    refused: str | None = None
    """Why it did not get the alias; None if it did."""


def rules_file(lake: Lake, file: Path | None) -> Path:
    """Return the file of the rules in force: the one named, else the lake's `gate.toml`, else the shipped one."""
    if file is not None:
        return file
    own = lake.root / GATE_FILE
    return own if own.exists() else SHIPPED


def gate_of(lake: Lake, file: Path | None) -> Gate:
    """Return the rules in force. Raises UserError."""
    return Gate.read(rules_file(lake, file))


def promote(
    lake: Lake, registry: Registry, reference: str, alias: str = CHAMPION, gate: Gate | None = None, force: bool = False
) -> Promotion:
    """Give a version an alias if the gate lets it, or with `force` whatever it says, which is recorded.

    The gate compares it with the version that has the alias; a version that it refuses is an answer, no error. Raises
    UnknownModel, AliasChanged and RegistryError.
    """
    model = find_model(registry, reference)
    before = aliases.version_of(registry, alias)
    rules = gate or gate_of(lake, None)
    verdict, paired = judge_version(lake, registry, model, before, rules)
    forced = force and not verdict.passed
    outcome = "forced" if forced else "passed" if verdict.passed else "refused"
    retag_version(registry, model, VERDICT_TAG, _tags(alias, outcome, verdict))
    page = f"gate/version-{model.version}-{alias}.html"
    others = [model] if before is None else [model, find_model(registry, before)]
    keep_page(registry, model.run_id, page, verdict_page(verdict, alias, outcome, rules, others, paired))
    refused = None
    if not verdict.passed and not force:
        broken = "; ".join(finding.line() for finding in verdict.broken)
        refused = (
            f"version {model.version} does not become {alias} in place of version {before}: {broken}; --force does it "
            "all the same"
        )
    elif before != model.version:
        aliases.move_alias(registry, alias, model.version, before, "forced" if forced else "promoted")
    done = Promotion(model.version, alias, before, forced, verdict, page, refused)
    announce(_event(lake, done))
    return done


def roll_back(lake: Lake, registry: Registry, alias: str = CHAMPION) -> tuple[str, str]:
    """Give an alias back to the version that had it before; return the version it had until now, and that one.

    The gate is not asked: it let that version pass, or was overruled. Raises RunError where there was none before, and
    RegistryError.
    """
    now, before = aliases.roll_back(registry, alias)
    announce(ModelPromoted(lake=lake.address, version=before, alias=alias, forced=False, rolled_back=True))
    return now, before


def judge_version(
    lake: Lake, registry: Registry, model: RegisteredModel, against: str | None, gate: Gate
) -> tuple[Verdict, PairedReport | None]:
    """Judge a version beside that of number `against`; return the comparison that was judged, too.

    Raises UnknownModel.
    """
    if against is None or against == model.version:
        return judge(figures_of(lake, model), None, gate), None
    other = find_model(registry, against)
    paired = comparison_of(lake, model, other)
    return judge(figures_of(lake, model), figures_of(lake, other), gate, paired), paired


def _event(lake: Lake, done: Promotion) -> ModelPromoted | ModelRefused:
    if done.refused is not None:
        return ModelRefused(lake=lake.address, version=done.version, alias=done.alias, why=done.refused)
    was_there = done.before == done.version
    return ModelPromoted(
        lake=lake.address, reused=was_there, version=done.version, alias=done.alias, forced=done.forced
    )


def _tags(alias: str, outcome: str, verdict: Verdict) -> dict[str, str]:
    """Return the tags of a verdict by what follows VERDICT_TAG."""
    about = {"alias": alias, "outcome": outcome, "version": verdict.version, "against": verdict.against}
    rules = {f".{finding.rule}": finding.line().partition(": ")[2] for finding in verdict.findings}
    return {"": json.dumps(about), ".outcome": outcome, **rules}
