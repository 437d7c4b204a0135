"""The promotion flow: a version → the gate's verdict, and the alias where it passes."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run
from pydantic import BaseModel, ConfigDict

from flows.lineage import model_place, recorded
from flows.parameters import LakeAddress
from flows.promotion.promotion import Promotion, gate_of
from flows.promotion.promotion import promote as promote_version
from infra.lake import Lake
from registry.loading import find_registered
from registry.models import CHAMPION, MODEL_NAME


class PromoteParameters(BaseModel):
    """The version to promote, and by which rules."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    model: str
    """Alias or version number."""
    alias: str = CHAMPION
    gate: Path | None = None
    """File of rules; None: the lake's `gate.toml`, else the shipped one."""
    force: bool = False
    """True to promote it whatever the gate says, which is recorded."""
    lake: LakeAddress


@flow(name="promote", persist_result=False)
def promote(parameters: PromoteParameters) -> Promotion:
    """Ask the gate for a version, and give it the alias where it passes. Raises UserError and RegistryError."""
    lake = Lake.at(parameters.lake)
    with recorded("promote", flow_run) as record:
        registry, model = find_registered(parameters.model, lake)
        record.reads(model_place(lake, MODEL_NAME, model.version))
        rules = gate_of(lake, parameters.gate)
        done = promote_version(lake, registry, parameters.model, parameters.alias, rules, parameters.force)
    create_markdown_artifact(
        key="gate", markdown=verdict_markdown(done), description=f"version {done.version} for {done.alias}"
    )
    return done


def verdict_markdown(done: Promotion) -> str:
    """Return what the gate found as a page for Prefect."""
    outcome = "refused" if done.refused else "forced" if done.forced else "passed"
    lines = [f"# Version {done.version} for {done.alias}: {outcome}", ""]
    if done.verdict.against is None:
        lines.append("There was no version to compare it with.")
    lines += [f"- {finding.line()}" for finding in done.verdict.findings]
    return "\n".join(lines) + "\n"
