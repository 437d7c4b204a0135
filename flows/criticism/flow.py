"""The criticism flow: a trained model → its inner critic."""

from __future__ import annotations

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from flows.chain import CriticTrained, announce
from flows.criticism.critic_training import CriticTraining, critic_folder
from flows.criticism.parameters import CriticParameters
from flows.criticism.report import CriticReport, read_report
from flows.lineage import critic_place, dataset_place, recorded, run_place
from flows.progress import stage, tick
from flows.retention.guard import in_use
from flows.training.runs import Run, find_run
from infra.lake import Lake
from infra.services.slots import DEVICES, slot
from modeling.archive import Generation
from modeling.criticism import Critic
from registry.models import find_model
from registry.store import Registry
from tokenization.dataset import DatasetVersion, find_version


@task(name="generate", persist_result=False, cache_policy=NO_CACHE)
def generate_task(training: CriticTraining) -> list[Generation]:
    """Generate and archive windows in the places of real ones."""
    with stage("critic: generating beside real pieces") as bar:
        return training.generate(bar)


@task(name="fit critic", persist_result=False, cache_policy=NO_CACHE)
def fit_task(training: CriticTraining, generations: list[Generation]) -> tuple[Critic, int]:
    """Fit the critic, in as many rounds as asked for."""
    with stage("critic: fitting") as bar:
        return training.fit(generations, bar)


@task(name="measure critic", persist_result=False, cache_policy=NO_CACHE)
def measure_task(training: CriticTraining, critic: Critic, windows: int) -> CriticReport:
    """Calibrate the critic, measure it on held-out families, and publish both."""
    with stage("critic: measuring on held-out pieces") as bar:
        calibrated, report = training.measure(critic, windows, bar)
    training.publish(calibrated, report)
    return report


@flow(name="critic", persist_result=False)
def criticise(parameters: CriticParameters) -> CriticReport:
    """Train the critic of a finished run; one that was trained before with these settings is reused."""
    lake = Lake.at(parameters.lake)
    with recorded("critic", flow_run) as record, slot(DEVICES), in_use(lake):
        run = find_run(lake, _run_of(lake, parameters))
        folder = critic_folder(run, parameters)
        record.reads(run_place(lake, run.run_id))
        reused = folder.exists()
        if reused:
            tick(f"critic: nothing changed, that of run {run.run_id} is reused")
            report = read_report(folder)
        else:
            dataset = find_version(lake, run.dataset)
            record.reads(dataset_place(lake, dataset))
            report = _train_critic(lake, run, dataset.local(lake), parameters)
        announce(
            CriticTrained(
                lake=lake.address,
                reused=reused,
                run=run.run_id,
                critic=folder.name,
                dataset=run.dataset,
                auc=report.auc,
            )
        )
        record.writes(critic_place(lake, run.run_id, folder.name))
    if not reused:
        create_markdown_artifact(key="critic", markdown=report.markdown(), description=f"run {report.run_id}")
    return report


def _run_of(lake: Lake, parameters: CriticParameters) -> str:
    """Return the reference of the run, that of the registered model where one is named. Raises UnknownModel."""
    if parameters.model is None:
        return parameters.run
    registry = Registry.open(lake)
    return find_model(registry, parameters.model).tags["run"]


def _train_critic(lake: Lake, run: Run, dataset: DatasetVersion, parameters: CriticParameters) -> CriticReport:
    training = CriticTraining(lake, run, dataset, parameters)
    critic, windows = fit_task(training, generate_task(training))
    return measure_task(training, critic, windows)
