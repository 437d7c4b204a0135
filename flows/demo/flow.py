"""The demo flow: ingest, train, criticise, register and sample, each a flow of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from flows.criticism.flow import criticise
from flows.criticism.parameters import CriticParameters
from flows.demo.plan import DemoParameters, DemoReport, StageReport, starter_collections
from flows.ingestion.flow import ingest
from flows.ingestion.parameters import IngestParameters
from flows.ingestion.sources import Collection
from flows.lineage import recorded
from flows.progress import say, stage
from flows.registration.flow import register
from flows.registration.registration import RegisterParameters
from flows.sampling.flow import sample
from flows.sampling.parameters import SampleParameters
from flows.training.flow import TrainParameters, train
from infra.hardware import available_cores
from infra.lake import Lake
from infra.wording import counted
from registry.models import CHAMPION

Result = TypeVar("Result")


@task(name="starter collections", persist_result=False, cache_policy=NO_CACHE)
def starter_task(lake: Lake) -> list[Collection]:
    """Return the shipped collection and the one converted from music21's scores, which is cached in the lake."""
    with stage("converting classical scores") as bar:
        collections = starter_collections(lake, available_cores(), bar.step)
        bar.update(0, note=counted(len(collections), "collection"))
    return collections


@flow(name="demo", persist_result=False)
def demo(parameters: DemoParameters) -> DemoReport:
    """Run every stage once. Raises the errors of the stages."""
    with recorded("demo", flow_run):
        return _demo(parameters)


def _demo(parameters: DemoParameters) -> DemoReport:
    lake = Lake.at(parameters.lake)
    address = lake.address
    times: list[float] = []

    def timed(run: Callable[[], Result]) -> Result:
        begun = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - begun)
        return result

    ingested = timed(
        lambda: ingest(
            IngestParameters(
                collections=starter_task(lake), name=parameters.dataset, tokens=parameters.tokens, lake=address
            )
        )
    )
    version = ingested.version
    trained = timed(
        lambda: train(
            TrainParameters(
                dataset=f"{version.name}@{version.digest}",
                preset=parameters.preset,
                settings=parameters.settings,
                lake=address,
            )
        )
    )
    critic = timed(
        lambda: criticise(
            CriticParameters(
                run=trained.run_id, train_pieces=64, held_out_pieces=32, critic=parameters.critic, lake=address
            )
        )
    )
    registered = timed(lambda: register(RegisterParameters(run=trained.run_id, alias=CHAMPION, lake=address)))
    if registered.refused is not None:
        say(registered.refused)
    composed = timed(
        lambda: sample(
            SampleParameters(
                model=registered.version,
                style=parameters.style,
                instruments=tuple(parameters.instruments),
                require=True,  # a model of four minutes does not yet know when others would join well
                best_of=parameters.best_of,
                length=parameters.length,
                seed=parameters.seed,
                lake=address,
            )
        )
    )
    best = composed.samples[0]
    about = version.description
    held_out = "-" if trained.nats_per_note is None else f"{trained.nats_per_note:.2f} nats/note held out"
    stages = [
        StageReport(
            "ingest",
            f"{counted(sum(about.pieces.values()), 'piece')}, {counted(sum(about.tokens.values()), 'token')}",
            str(version.folder),
            ingested.reused,
        ),
        StageReport("train", f"{trained.extent()}, {held_out}", trained.folder, trained.reused),
        StageReport("critic", f"AUC {critic.auc:.3f} on held-out pieces", critic.folder, critic.reused),
        StageReport("register", f"version {registered.version}, alias {registered.alias}", str(lake.registry_database)),
        StageReport(
            "sample",
            f"best of {composed.candidates}, score {best.score or 0:.3f}, {best.seconds:.0f} s",
            str(Path(best.midi)),
        ),
    ]
    return DemoReport(stages, times, best)
