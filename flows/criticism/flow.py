"""The criticism flow: a trained model → its inner critic."""

from __future__ import annotations

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.criticism.archive import RealFakePairs
from flows.criticism.critic_training import CriticParameters, CriticReport, CriticTraining, critic_folder, read_report
from flows.progress import stage, tick
from flows.training.runs import find_run
from infra.lake import Lake
from tokenization.dataset import find_version


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
    run = find_run(lake, parameters.run)
    folder = critic_folder(run, parameters)
    if folder.exists():
        tick(f"critic: nothing changed, that of run {run.run_id} is reused")
        return read_report(folder)
    training = CriticTraining(lake, run, find_version(lake, run.dataset).local(lake), parameters)
    train, held_out = generate_task(training)
    report = fit_task(training, train, held_out)
    text = (
        f"# Critic of run {report.run_id}\n\nHeld-out AUC {report.auc:.3f} on {report.held_out_pairs} real pieces and "
        f"their generated counterparts (training: {report.train_auc:.3f} on {report.train_pairs}).\n"
    )
    create_markdown_artifact(key="critic", markdown=text, description=f"run {report.run_id}")
    return report
