"""The demo flow: import the starter model, train it further on starter music, compare the two, and compose.

Each stage is a flow of its own.
"""

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
from flows.demo.plan import TRAINING, DemoParameters, DemoReport, starter_collections
from flows.demo.stages import (
    critic_stage,
    evaluation_stage,
    gate_stage,
    ingestion_stage,
    registration_stage,
    sampling_stage,
    starter_stage,
    training_stage,
)
from flows.evaluation.flow import evaluate
from flows.evaluation.settings import EvaluateParameters
from flows.ingestion.flow import ingest
from flows.ingestion.parameters import IngestParameters
from flows.ingestion.publishing.encoding import TokenSettings
from flows.ingestion.sources import Collection
from flows.lineage import recorded
from flows.progress import say, stage
from flows.promotion.flow import promote
from flows.promotion.parameters import PromoteParameters
from flows.registration.flow import register
from flows.registration.importing import import_model
from flows.registration.naming import name_version
from flows.registration.registration import RegisterParameters
from flows.sampling.flow import SampleReport, sample
from flows.sampling.parameters import SampleParameters
from flows.starter_model.shipped import STARTER
from flows.training.flow import TrainParameters, train
from flows.warm_start.tokens import tokens_for
from infra.errors import UserError
from infra.hardware import available_cores
from infra.lake import Lake
from infra.wording import counted
from registry.aliases import version_of
from registry.audio import AudioFormat, Soundfont
from registry.loading import open_composer
from registry.models import CHAMPION, RegisteredModel
from registry.serving.warming import Warming
from registry.store import Registry

Result = TypeVar("Result")


@task(name="starter model", persist_result=False, cache_policy=NO_CACHE)
def import_task(lake: Lake, file: str) -> RegisteredModel:
    """Import the model to begin with; it is champion where there is none."""
    with stage("importing the starter model") as bar:
        found, _ = import_model(lake, Path(file), STARTER)
        registry = Registry.open(lake)
        if version_of(registry, CHAMPION) is None:
            name_version(lake, registry, found.version, CHAMPION)
        bar.update(0, note=f"version {found.version}")
    return found


@task(name="starter collections", persist_result=False, cache_policy=NO_CACHE)
def collections_task(lake: Lake) -> list[Collection]:
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
    starter, importing = timed(lambda: import_task(lake, parameters.model))
    say(f"hear it, and compose with it, while the rest goes on: {parameters.studio}")
    with Warming() as warming:  # while there are stages that leave a core idle
        warming.start(open_composer(Registry.open(lake), starter, "cpu", lake).files)
        return _stages(parameters, lake, starter, importing)


def _stages(parameters: DemoParameters, lake: Lake, starter: RegisteredModel, importing: float) -> DemoReport:
    """Run the stages that follow the import of the starter model, which took `importing` seconds."""
    address = lake.address
    tokens = TokenSettings.model_validate(tokens_for(lake, starter.version))
    ingested, ingesting = timed(
        lambda: ingest(
            IngestParameters(collections=collections_task(lake), name=parameters.dataset, tokens=tokens, lake=address)
        )
    )
    version = ingested.version
    settings = {**TRAINING, **parameters.settings, "training.parent": starter.version}
    trained, training = timed(
        lambda: train(TrainParameters(dataset=f"{version.name}@{version.digest}", settings=settings, lake=address))
    )
    critic, criticising = timed(
        lambda: criticise(
            CriticParameters(
                run=trained.run_id, train_pieces=32, held_out_pieces=16, critic=parameters.critic, lake=address
            )
        )
    )
    registered, registering = timed(lambda: register(RegisterParameters(run=trained.run_id, lake=address)))
    evaluated, evaluating = timed(
        lambda: evaluate(
            EvaluateParameters(
                source=registered.version, against=starter.version, settings=parameters.evaluation, lake=address
            )
        )
    )
    promoted, judging = timed(lambda: promote(PromoteParameters(model=registered.version, lake=address)))
    if promoted.refused is not None:
        say(promoted.refused)
    composed, composing = timed(lambda: compose(parameters))
    pieces = [piece for report in composed for piece in report.samples]
    stages = [
        starter_stage(starter, parameters.model, importing),
        ingestion_stage(ingested, ingesting),
        training_stage(trained, training),
        critic_stage(critic, criticising),
        registration_stage(registered, lake, registering),
        evaluation_stage(evaluated, evaluating),
        gate_stage(promoted, judging),
        sampling_stage(composed, pieces, composing),
    ]
    return DemoReport(stages, pieces, composed[0].model_version)


def timed(run: Callable[[], Result]) -> tuple[Result, float]:
    """Return a result, and the seconds that it took."""
    begun = time.perf_counter()
    result = run()
    return result, time.perf_counter() - begun


def compose(parameters: DemoParameters) -> list[SampleReport]:
    """Compose the pieces with the champion, each the best of several by its critic, if that beats chance."""
    audio = audio_format()
    return [
        sample(
            SampleParameters(
                model=CHAMPION,
                style=piece.style,
                instruments=piece.instruments,
                best_of=parameters.best_of,
                seconds=parameters.seconds,
                seed=parameters.seed,
                audio=audio,
                lake=parameters.lake,
            )
        )
        for piece in parameters.pieces
    ]


def audio_format() -> AudioFormat | None:
    """Return the format of audio files, None where no audio can be rendered here."""
    try:
        Soundfont.find(None)
    except UserError as error:
        say(str(error))
        return None
    return AudioFormat.MP3
