"""Promoting a version: ask the gate, keep its verdict with the version, and move the alias."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from flows.promotion.figures import figures_of
from flows.promotion.gate import GATE_FILE, Gate, Verdict, judge
from infra.errors import RunError
from infra.lake import Lake
from registry.aliases import move_alias, version_of
from registry.models import CHAMPION, RegisteredModel, find_model, tag_version
from registry.store import Registry

VERDICT_TAG = "gate"
"""Tag of a version with the newest verdict on it, as JSON."""


class NotPromoted(RunError):
    """A version that the gate does not let pass; the message has every figure that did not."""


@dataclass(frozen=True)
class Promotion:
    """A version that got an alias."""

    version: str
    alias: str
    before: str | None
    """The version that had it."""
    forced: bool
    """True if the gate did not let it pass."""
    verdict: Verdict


def gate_of(lake: Lake, file: Path | None) -> Gate:
    """Return the rules in a file, else in the lake's `gate.toml`, else the default ones. Raises UserError."""
    if file is not None:
        return Gate.read(file)
    own = lake.root / GATE_FILE
    return Gate.read(own) if own.exists() else Gate()


def promote(
    lake: Lake, registry: Registry, reference: str, alias: str = CHAMPION, gate: Gate | None = None, force: bool = False
) -> Promotion:
    """Give a version an alias if the gate lets it, or with `force` whatever it says, which is recorded.

    The gate compares it with the version that has the alias. Raises NotPromoted, UnknownModel, AliasChanged and
    RegistryError.
    """
    model = find_model(registry, reference)
    before = version_of(registry, alias)
    verdict = judge_version(lake, registry, model, before, gate or gate_of(lake, None))
    forced = force and not verdict.passed
    tag_version(registry, model.version, VERDICT_TAG, _tag(alias, verdict, forced))
    if not verdict.passed and not force:
        broken = "; ".join(finding.line() for finding in verdict.findings if not finding.passed)
        raise NotPromoted(
            f"version {model.version} does not become {alias} in place of version {before}: {broken}; --force does it "
            "all the same"
        )
    if before != model.version:
        move_alias(registry, alias, model.version, before, "forced" if forced else "promoted")
    return Promotion(model.version, alias, before, forced, verdict)


def judge_version(lake: Lake, registry: Registry, model: RegisteredModel, against: str | None, gate: Gate) -> Verdict:
    """Judge a version beside that of number `against`. Raises UnknownModel."""
    if against is None or against == model.version:
        return judge(figures_of(lake, model), None, gate)
    return judge(figures_of(lake, model), figures_of(lake, find_model(registry, against)), gate)


def _tag(alias: str, verdict: Verdict, forced: bool) -> str:
    outcome = "forced" if forced else "passed" if verdict.passed else "refused"
    return json.dumps({"alias": alias, "outcome": outcome, **verdict.model_dump(mode="json")})
