"""The promotion flow: a version → the gate's verdict, and the alias where it passes."""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run

from flows.lineage import model_place, recorded
from flows.promotion.parameters import PromoteParameters
from flows.promotion.promotion import Promotion, gate_of
from flows.promotion.promotion import promote as promote_version
from infra.lake import Lake
from infra.services.flow_run import show_link
from registry.loading import find_registered
from registry.models import MODEL_NAME
from registry.pages import version_page


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
    show_link("mlflow-version", version_page(lake, done.version), f"version {done.version} in MLflow")
    return done


def verdict_markdown(done: Promotion) -> str:
    """Return what the gate found as a page for Prefect."""
    outcome = "refused" if done.refused else "forced" if done.forced else "passed"
    lines = [f"# Version {done.version} for {done.alias}: {outcome}", ""]
    if done.verdict.against is None:
        lines.append("There was no version to compare it with.")
    lines += [f"- {finding.line()}" for finding in done.verdict.findings]
    return "\n".join(lines) + "\n"
