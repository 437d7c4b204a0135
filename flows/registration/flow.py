"""The registration flow: a finished run and its critic → a model version with an alias."""

from __future__ import annotations

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from flows.lineage import model_place, recorded, run_place
from flows.progress import stage
from flows.registration.registration import RegisterParameters, RegisterReport, register_run
from infra.lake import Lake
from registry.models import MODEL_NAME


@task(name="register", persist_result=False, cache_policy=NO_CACHE)
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
        record.reads(run_place(lake, report.run_id))
        record.writes(model_place(lake, MODEL_NAME, report.version))
    text = f"# Version {report.version}\n\nAlias `{report.alias}`, run `{report.run_id}`, dataset `{report.dataset}`.\n"
    text += "".join(f"\n- {line}" for line in report.findings)
    create_markdown_artifact(key="model-version", markdown=text, description=f"version {report.version}")
    return report
