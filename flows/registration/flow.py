"""The registration flow: a finished run and its critic → a model version with an alias."""

from __future__ import annotations

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from flows.attempts import RETRIES
from flows.chain import ModelRegistered, announce
from flows.lineage import model_place, recorded, run_place
from flows.progress import stage
from flows.registration.registration import RegisterParameters, RegisterReport, register_run
from infra.lake import Lake
from infra.services.flow_run import show_link
from registry.models import MODEL_NAME
from registry.pages import version_page


@task(name="register", persist_result=False, cache_policy=NO_CACHE, **RETRIES)
def register_task(parameters: RegisterParameters) -> RegisterReport:
    """Bundle the files, register them as a version and set its alias."""
    with stage("registering model and critic") as bar:
        report = register_run(parameters)
        bar.update(0, note=f"version {report.version}, alias {report.alias}")
    return report


@flow(name="register", flow_run_name="{parameters.run} as {parameters.alias}", persist_result=False)
def register(parameters: RegisterParameters) -> RegisterReport:
    """Register a run as a model version in MLflow; a bundle with the same files is registered once."""
    lake = Lake.at(parameters.lake)
    with recorded("register", flow_run) as record:
        report = register_task(parameters)
        _announce(lake, report)
        record.reads(run_place(lake, report.run_id))
        record.writes(model_place(lake, MODEL_NAME, report.version))
    text = f"# Version {report.version}\n\nAlias `{report.alias}`, run `{report.run_id}`, dataset `{report.dataset}`.\n"
    text += "".join(f"\n- {line}" for line in report.findings)
    create_markdown_artifact(key="model-version", markdown=text, description=f"version {report.version}")
    show_link("mlflow-version", version_page(lake, report.version), f"version {report.version} in MLflow")
    return report


def _announce(lake: Lake, report: RegisterReport) -> None:
    announce(
        ModelRegistered(
            lake=lake.address,
            reused=report.reused,
            version=report.version,
            run=report.run_id,
            dataset=report.dataset,
            alias=report.alias,
            champion=report.champion,
            nats_per_note=report.nats_per_note,
            critic_auc=report.critic_auc,
        )
    )
