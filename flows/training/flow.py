"""The training flow: a dataset version and a preset → a trained model, tracked in MLflow."""

from __future__ import annotations

from typing import Any, cast

from prefect import Task, flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.chain import RunTrained, announce
from flows.lineage import Record, dataset_place, recorded, run_place
from flows.metrics import training_figures
from flows.progress import in_this_run, say, stage, tick, warn
from flows.retention.guard import in_use
from flows.training.config_file import DEFAULT_PRESET
from flows.training.hostfile import Host
from flows.training.launcher import JobFailed, launch
from flows.training.parameters import TrainParameters
from flows.training.report import RunReport, build_report
from flows.training.runs import Run, keep_drawing, prepare_run
from infra.lake import Lake
from infra.services.flow_run import flow_run_tags, show_link
from infra.services.slots import DEVICES, slot
from modeling.config import choose_preset, lifts_limit, load_preset
from modeling.training.events import Event, Interrupted, StepTrained, Warned
from registry.lineage import DatasetReference
from registry.pages import run_page
from registry.uploader import TrackedRun, Uploader, upload_remaining
from tokenization.dataset import DatasetVersion, find_version
from tokenization.dataset.version import CARD_FILE


def is_temporary(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """True if another attempt may succeed without anything being fixed first."""
    error = state.data
    return isinstance(error, JobFailed) and not error.permanent


@task(persist_result=False, cache_policy=NO_CACHE, retry_condition_fn=is_temporary)
def deepspeed_job(
    lake: Lake, run: Run, dataset: DatasetVersion, hosts: tuple[Host, ...], retries: int, tags: dict[str, str]
) -> None:
    """Run the DeepSpeed job to its end and track it in MLflow."""
    steps = run.config.training.steps
    uploader = Uploader(lake, tracked_run(run, dataset, tags), in_this_run(warn))
    figures = training_figures(dataset.name, run.preset)
    with stage(f"training {run.preset} on {dataset}", steps) as bar, uploader, figures as measure:
        bar.update(0, note="starting DeepSpeed")

        def on_event(event: Event) -> None:
            measure(event)
            match event:
                case StepTrained():
                    note = f"loss {event.loss:.3f}  {event.tokens_per_second:,.0f} tokens/s"
                    bar.update(event.step, note=note)
                case Warned():
                    warn(event.message)
                case Interrupted():
                    tick(f"training stopped at step {event.step:,}, which is saved; the same command goes on from it")

        try:
            launch(lake, run, hosts, on_event)
        except JobFailed as error:
            context = TaskRunContext.get()
            attempt = context.task_run.run_count if context else retries + 1
            if not error.permanent and attempt <= retries:
                warn(f"{error}; attempt {attempt + 1} of {retries + 1} follows")
            raise


@flow(name="train", flow_run_name="{parameters.title}", persist_result=False)
def train(parameters: TrainParameters) -> RunReport:
    """Train a model; an unfinished earlier attempt is resumed, a finished one reused. Raises UserError."""
    lake = Lake.at(parameters.lake)
    with recorded("train", flow_run) as record:
        hosts = parameters.hosts()
        with in_use(lake):  # until the run refers to its dataset
            version = find_version(lake, parameters.dataset)
            record.reads(dataset_place(lake, version))
            dataset = version.local(lake)
            preset = choose_preset(load_preset(parameters.preset or DEFAULT_PRESET), parameters.settings)
            ranks = sum(host.slots for host in hosts)
            if preset.training.parent is None:
                run = prepare_run(lake, dataset, preset, ranks)
            else:
                run = _warm_run(parameters, preset.training.parent, lake, dataset, ranks, record)
        record.run = run.run_id
        given = load_preset(run.preset)
        if lifts_limit(given, parameters.settings):
            minutes = given.training.max_minutes
            tick(f"training: steps are given, so that {given.name}'s limit of {minutes:g} minutes does not hold")
        with slot(DEVICES):
            report = _train(parameters, lake, hosts, dataset, run)
        record.writes(run_place(lake, report.run_id))
    if report.stopped_early:  # callers get the data of such a state
        return cast(RunReport, Completed(message=report.extent(), data=report))
    return report


def _warm_run(
    parameters: TrainParameters, reference: str, lake: Lake, dataset: DatasetVersion, ranks: int, record: Record
) -> Run:
    """Prepare a run that begins with another model, and say which held-out pieces that one knows."""
    from flows.warm_start.fitting import check_tokens, warm_preset  # and with them the search for related pieces
    from flows.warm_start.parent import open_parent

    with open_parent(lake, reference) as parent:
        record.reads(parent.place)
        check_tokens(parent, dataset)
        preset = warm_preset(parent, parameters.preset, parameters.settings)
        run = prepare_run(lake, dataset, preset, ranks, parent.model)
        say(f"training begins with the weights of {parent.model.in_words}")
        leaks = parent.adopt(run, dataset)
    if leaks.line:
        warn(leaks.line)
    return run


def _train(
    parameters: TrainParameters, lake: Lake, hosts: tuple[Host, ...], dataset: DatasetVersion, run: Run
) -> RunReport:
    reused = run.is_complete()
    if reused:
        tick(f"training: nothing changed, run {run.run_id} is reused")
        keep_drawing(run)
        upload_remaining(lake, tracked_run(run, dataset, parameters.tags), warn)
    else:
        job = deepspeed_job.with_options(retries=parameters.retries, retry_delay_seconds=parameters.pauses)
        job(lake, run, dataset, hosts, parameters.retries, {**parameters.tags, **flow_run_tags()})
    report = build_report(run, reused)
    announce(
        RunTrained(
            lake=lake.address,
            reused=reused,
            run=report.run_id,
            dataset=report.dataset,
            preset=report.preset,
            steps=report.steps,
            planned_steps=report.planned_steps,
            stopped_early=report.stopped_early,
            nats_per_token=report.nats_per_token,
            nats_per_note=report.nats_per_note,
        )
    )
    text = f"{report.markdown()}\nThe dataset's card: `{dataset.folder / CARD_FILE}`.\n"
    create_markdown_artifact(key="training", markdown=text, description=f"run {run.run_id}")
    show_link("mlflow-run", run_page(lake, run.run_id), f"run {run.name} in MLflow")
    return report


def tracked_run(run: Run, dataset: DatasetVersion, tags: dict[str, str]) -> TrackedRun:
    """Return a run as the registry tracks it."""
    folder, reference = run.folder, DatasetReference.of(dataset)
    files = (folder.config, folder.log)
    parameters, parent = run.parameters(dataset), run.config.parent
    return TrackedRun(run.run_id, run.name, parameters, reference, folder.metrics, files, tags, parent)
