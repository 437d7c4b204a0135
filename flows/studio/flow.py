"""The flow that composes samples beforehand, which the studio plays at once.

Those that are there are not made again.
"""

from __future__ import annotations

import json

from prefect import flow
from prefect.runtime import flow_run

from flows.chain import SamplesPrepared, announce
from flows.lineage import recorded
from flows.sampling.flow import TableReport, sample_table
from flows.sampling.parameters import TableParameters
from flows.studio.parameters import PrepareParameters
from flows.studio.table import sample_table_of, uncurated
from infra.files import write_atomically
from infra.lake import Lake
from registry.loading import open_composer
from registry.models import find_model
from registry.store import Registry

TABLE = "requests.json"


@flow(name="prepare-samples", flow_run_name="{parameters.model}", persist_result=False)
def prepare_samples(parameters: PrepareParameters) -> TableReport:
    """Compose samples of each style of a model. Raises UserError, UnknownModel and RunError."""
    lake = Lake.at(parameters.lake)
    with recorded("prepare-samples", flow_run):
        registry = Registry.open(lake)
        model = find_model(registry, parameters.model)
        composer = open_composer(registry, model, lake=lake)
        folder = lake.prepared / model.identity.digest
        write_atomically(folder / TABLE, json.dumps(sample_table_of(composer.styles, parameters.count)).encode())
        report = sample_table(
            TableParameters(
                requests=folder / TABLE,
                defaults=uncurated(parameters.seconds),
                model=model.version,
                workers=parameters.workers,
                out=folder,
                lake=parameters.lake,
            )
        )
        announce(
            SamplesPrepared(
                lake=lake.address,
                reused=report.composed == 0,
                version=model.version,
                samples=report.rows - len(report.failed),
                composed=report.composed,
                failed=len(report.failed),
                folder=report.folder,
            )
        )
    return report
