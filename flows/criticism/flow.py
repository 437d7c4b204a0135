"""The criticism flow: a trained model → its inner critic."""

from __future__ import annotations

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.criticism.archive import Twins
from flows.criticism.critic_training import CriticParameters, CriticReport, Round, critic_folder, read_report
from flows.progress import say, stage
from flows.training.runs import find_run
from infra.lake import Lake
from tokenization.dataset.version import find_version


@task(name="generate twins", persist_result=False, cache_policy=NO_CACHE)
def generate_task(one_round: Round) -> tuple[Twins, Twins]:
    """Generate and archive the twins of real pieces."""
    with stage("critic: generating twins of real pieces") as bar:
        return one_round.generate(bar)


@task(name="learn to tell", persist_result=False, cache_policy=NO_CACHE)
def learn_task(one_round: Round, train: Twins, held_out: Twins) -> CriticReport:
    """Train the critic's head and measure it on held-out pieces."""
    with stage("critic: learning to tell them from the data") as bar:
        return one_round.learn(train, held_out, bar)


@flow(name="critic", persist_result=False)
def criticise(parameters: CriticParameters) -> CriticReport:
    """Train the critic of a finished run; one that was trained before with these settings is reused."""
    lake = Lake.at(parameters.lake)
    run = find_run(lake, parameters.run)
    folder = critic_folder(run, parameters)
    if folder.exists():
        say(f"[green]✓[/] critic: nothing changed, that of run {run.run_id} is reused")
        return read_report(folder)
    one_round = Round(lake, run, find_version(lake, run.dataset).local(lake), parameters)
    train, held_out = generate_task(one_round)
    report = learn_task(one_round, train, held_out)
    text = (
        f"# Critic of run {report.run_id}\n\nHeld-out AUC {report.auc:.3f} on {report.held_out_twins} pieces and their "
        f"generated twins (training: {report.train_auc:.3f} on {report.train_twins}).\n"
    )
    create_markdown_artifact(key="critic", markdown=text, description=f"run {report.run_id}")
    return report
