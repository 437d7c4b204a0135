"""The flow that makes the starter model: ingest, train, criticise, register and export, each a flow of its own.

A flow that was interrupted goes on where it was when it is run again: every stage finds what it has made already.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prefect import flow
from prefect.runtime import flow_run

from flows.criticism.flow import criticise
from flows.criticism.parameters import CriticParameters
from flows.ingestion.flow import ingest
from flows.ingestion.parameters import IngestParameters
from flows.lineage import recorded
from flows.progress import stage
from flows.registration.flow import register
from flows.registration.registration import RegisterParameters
from flows.starter_model.attribution import ATTRIBUTION_PAGE, attribution_note, attribution_page
from flows.starter_model.recipe import LICENCES, TOKENS, StarterParameters, free_music
from flows.training.flow import TrainParameters, train
from infra.lake import Lake
from registry.models import find_model
from registry.store import Registry
from registry.transfer import export_version


@dataclass(frozen=True)
class StarterReport:
    """The exported model and what it was made of."""

    file: str
    bytes: int
    version: str
    run_id: str
    dataset: str
    nats_per_note: float | None
    critic_auc: float


@flow(name="starter", persist_result=False)
def make_starter(parameters: StarterParameters) -> StarterReport:
    """Make the starter model and write it to a file. Raises the errors of the stages."""
    lake = Lake.at(parameters.lake)
    with recorded("starter", flow_run):
        version = ingest(
            IngestParameters(
                collections=[free_music(parameters.corpus)],
                name=parameters.dataset,
                tokens=TOKENS,
                licences=LICENCES,
                lake=lake.address,
            )
        ).version
        trained = train(
            TrainParameters(
                dataset=f"{version.name}@{version.digest}",
                preset=parameters.preset,
                settings=parameters.settings,
                lake=lake.address,
            )
        )
        critic = criticise(
            CriticParameters(
                run=trained.run_id,
                train_pieces=parameters.critic_pieces,
                held_out_pieces=parameters.critic_held_out,
                critic=parameters.critic,
                lake=lake.address,
            )
        )
        registered = register(RegisterParameters(run=trained.run_id, lake=lake.address))
        file = Path(parameters.out).expanduser().resolve()
        with stage("exporting") as bar:
            registry = Registry.open(lake)
            pages = {ATTRIBUTION_PAGE: attribution_page(version)}
            model = find_model(registry, registered.version)
            export_version(registry, model, file, half=True, note=attribution_note(version), pages=pages)
            bar.update(0, note=file.name)
    return StarterReport(
        str(file),
        file.stat().st_size,
        registered.version,
        trained.run_id,
        str(version),
        trained.nats_per_note,
        critic.auc,
    )
