"""OpenLineage's events of a run, with its facets. Imports the client library: load it only where events are emitted."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import attr
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    DatasetFacet,
    dataset_version_dataset,
    error_message_run,
    job_type_job,
    output_statistics_output_dataset,
    parent_run,
    processing_engine_run,
    schema_dataset,
)

from flows.lineage.places import Place

PRODUCER = f"urn:musenet:{metadata.version('musenet')}"
NAMESPACE_VARIABLE = "OPENLINEAGE_NAMESPACE"
DEFAULT_NAMESPACE = "musenet"
INTEGRATION = "MUSENET"


@attr.define
class DatasetContentFacet(DatasetFacet):
    """The content of a dataset version: `schemas/DatasetContentFacet.json`."""

    digest: str
    inputKey: str  # noqa: N815 (OpenLineage's spelling)
    encoding: str
    vocabularyDigest: str  # noqa: N815
    pieces: dict[str, int]
    tokens: dict[str, int]
    outcomes: dict[str, int]
    parent: str | None = None

    @staticmethod
    def _get_schema() -> str:
        return "urn:musenet:schemas:DatasetContentFacet:1-0-0#/$defs/DatasetContentFacet"


def run_event(
    kind: str,
    job: str,
    run_id: str,
    inputs: list[Place],
    outputs: list[Place],
    parent: tuple[str, str] | None,
    message: str | None,
) -> RunEvent:
    """Build the event of a run's transition: `START`, `COMPLETE`, `FAIL` or `ABORT`.

    `parent`: job name and run id of the flow around it. `message`: of the error that ended it.
    """
    facets: dict[str, Any] = {
        "processing_engine": processing_engine_run.ProcessingEngineRunFacet(
            metadata.version("prefect"), "Prefect", metadata.version("musenet"), producer=PRODUCER
        )
    }
    if parent is not None:
        outer, outer_id = parent
        facets["parent"] = parent_run.ParentRunFacet(
            parent_run.Run(outer_id), parent_run.Job(_namespace(), outer), producer=PRODUCER
        )
    if message is not None:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(message, "PYTHON", producer=PRODUCER)
    kind_of_job = job_type_job.JobTypeJobFacet("BATCH", INTEGRATION, "FLOW", producer=PRODUCER)
    return RunEvent(
        eventTime=datetime.now(UTC).isoformat(timespec="milliseconds"),
        producer=PRODUCER,
        run=Run(run_id, facets),
        job=Job(_namespace(), job, {"jobType": kind_of_job}),
        eventType=RunState[kind],
        inputs=[InputDataset(place.namespace, place.name, facets=_facets(place)) for place in inputs],
        outputs=[
            OutputDataset(place.namespace, place.name, facets=_facets(place), outputFacets=_statistics(place))
            for place in outputs
        ],
    )


def _namespace() -> str:
    return os.environ.get(NAMESPACE_VARIABLE) or DEFAULT_NAMESPACE


def _facets(place: Place) -> dict[str, DatasetFacet]:
    facets: dict[str, DatasetFacet] = {}
    if place.version is not None:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(place.version, producer=PRODUCER)
    if place.columns:
        fields = [schema_dataset.SchemaDatasetFacetFields(name, kind) for name, kind in place.columns]
        facets["schema"] = schema_dataset.SchemaDatasetFacet(fields, producer=PRODUCER)
    if place.content:
        facets["musenet_datasetContent"] = DatasetContentFacet(**place.content, producer=PRODUCER)
    return facets


def _statistics(place: Place) -> dict[str, Any]:
    if place.rows is None and place.files is None:
        return {}
    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        rowCount=place.rows, fileCount=place.files, producer=PRODUCER
    )
    return {"outputStatistics": statistics}
