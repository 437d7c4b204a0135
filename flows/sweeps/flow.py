"""The sweep flow: a sweep file → training runs with the settings that Optuna suggests, one after the other."""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run

from flows.lineage import dataset_place, recorded, run_place
from flows.progress import say, warn
from flows.sweeps.parameters import SweepParameters
from flows.sweeps.report import SweepReport, ranked
from flows.sweeps.study import Trials, open_trials
from flows.sweeps.sweep_file import Scalar, SweepFile
from flows.training.flow import TrainParameters, train
from flows.training.launcher import JobFailed
from infra.errors import RunError, UserError, message_of
from infra.lake import Lake
from registry.lineage import DatasetReference
from registry.sweeps import SweepRun
from tokenization.dataset import find_version


@flow(name="sweep", persist_result=False)
def sweep(parameters: SweepParameters) -> SweepReport:
    """Run the trials of a sweep that are left. Raises UserError, and RunError where every trial has failed."""
    file, lake = parameters.file, Lake.at(parameters.lake)
    with recorded("sweep", flow_run) as record, open_trials(lake, file) as trials:
        version = find_version(lake, trials.dataset or file.dataset)
        dataset = f"{version.name}@{version.digest}"
        trials.keep_dataset(dataset)
        record.reads(dataset_place(lake, version))
        about = _parameters(file), DatasetReference.of(version)
        with SweepRun.open(lake, file.name, *about) as tracked:
            while len(trials.done()) < file.trials:
                number, chosen = trials.suggest()
                shown = ", ".join(f"{key}={value}" for key, value in chosen.items())
                say(f"trial {len(trials.done()) + 1} of {file.trials}: {shown}")
                run = _try(parameters, dataset, trials, tracked, number, chosen)
                if run is not None:
                    record.writes(run_place(lake, run))
            report = SweepReport(file.name, dataset, file.minimise, ranked(trials.done()), trials.importances())
            tracked.end(report.markdown(), None if report.best is None else report.best.run)
    create_markdown_artifact(key="sweep", markdown=report.markdown(), description=f"sweep {file.name}")
    if report.best is None:
        raise RunError(f"no trial of the sweep {file.name} has finished; the last: {report.trials[-1].why}")
    return report


def _try(
    parameters: SweepParameters,
    dataset: str,
    trials: Trials,
    tracked: SweepRun,
    number: int,
    chosen: dict[str, Scalar],
) -> str | None:
    """Train with the settings of a trial and keep its outcome; return the run, None where it has failed.

    Settings that do not go together, and a loss that is no number, are outcomes too.
    """
    file = parameters.file
    try:
        report = train(
            TrainParameters(
                dataset=dataset,
                preset=file.preset,
                settings={**file.fixed, **chosen},
                ranks=file.ranks,
                tags=tracked.tags_of(number),
                lake=parameters.lake,
            )
        )
    except (UserError, JobFailed) as error:
        trials.tell(number, None, None, message_of(error))
        warn(f"trial {number} failed: {message_of(error)}")
        return None
    value = report.nats_per_note if file.minimise == "nats_per_note" else report.nats_per_token
    if value is None:
        raise UserError(f"{dataset} has no validation pieces: a sweep has nothing to minimise")
    trials.tell(number, report.run_id, value)
    best = min(trial.value for trial in trials.done() if trial.value is not None)
    tracked.log(file.minimise, value, best, number)
    return report.run_id


def _parameters(file: SweepFile) -> dict[str, object]:
    search = {key: value if isinstance(value, list) else value.model_dump() for key, value in file.search.items()}
    return {"preset": file.preset, "minimise": file.minimise, "search": search, **file.fixed}
