"""The criticism flow: a trained model → its inner critic."""

from __future__ import annotations

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from flows.criticism.archive import RealFakePairs
from flows.criticism.critic_training import CriticParameters, CriticReport, CriticTraining, critic_folder, read_report
from flows.lineage import critic_place, dataset_place, recorded, run_place
from flows.progress import stage, tick
from flows.retention.guard import in_use
from flows.training.runs import Run, find_run
from infra.lake import Lake
from tokenization.dataset import DatasetVersion, find_version


@task(name="generate counterparts", persist_result=False, cache_policy=NO_CACHE)
def generate_task(training: CriticTraining) -> tuple[RealFakePairs, RealFakePairs]:
    """Generate and archive counterparts of real pieces."""
    with stage("critic: generating counterparts of real pieces") as bar:
        return training.generate(bar)


@task(name="fit critic", persist_result=False, cache_policy=NO_CACHE)
def fit_task(training: CriticTraining, train: RealFakePairs, held_out: RealFakePairs) -> CriticReport:
    """Fit the critic's head and measure it on held-out pieces."""
    with stage("critic: fitting") as bar:
        return training.fit(train, held_out, bar)


@flow(name="critic", persist_result=False)
def criticise(parameters: CriticParameters) -> CriticReport:
    """Train the critic of a finished run; one that was trained before with these settings is reused."""
    lake = Lake.at(parameters.lake)
    with recorded("critic", flow_run) as record, in_use(lake):
        run = find_run(lake, parameters.run)
        folder = critic_folder(run, parameters)
        record.reads(run_place(lake, run.run_id))
        if folder.exists():
            tick(f"critic: nothing changed, that of run {run.run_id} is reused")
            report = read_report(folder)
        else:
            dataset = find_version(lake, run.dataset)
            record.reads(dataset_place(lake, dataset))
            report = _train_critic(lake, run, dataset.local(lake), parameters)
        record.writes(critic_place(lake, run.run_id, folder.name))
    return report


def _train_critic(lake: Lake, run: Run, dataset: DatasetVersion, parameters: CriticParameters) -> CriticReport:
    training = CriticTraining(lake, run, dataset, parameters)
    train, held_out = generate_task(training)
    report = fit_task(training, train, held_out)
    text = (
        f"# Critic of run {report.run_id}\n\nHeld-out AUC {report.auc:.3f} on {report.held_out_pairs} real pieces and "
        f"their generated counterparts (training: {report.train_auc:.3f} on {report.train_pairs}).\n"
    )
    create_markdown_artifact(key="critic", markdown=text, description=f"run {report.run_id}")
    return report
