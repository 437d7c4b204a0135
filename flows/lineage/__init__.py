"""Lineage events: each flow reports its runs, inputs and outputs to a data catalogue in the OpenLineage format.

Nothing is emitted, and nothing is imported, unless a transport is configured as OpenLineage's own tools do it:
`OPENLINEAGE_URL`, `OPENLINEAGE__TRANSPORT__…`, `OPENLINEAGE_CONFIG` or an `openlineage.yml`.

    emission    events delivered by a thread, so that no transport delays or breaks a run
    places      datasets, models and files as OpenLineage names them, with their facets
    events      OpenLineage's events and facets
    record      the record of one run of a flow
"""

from flows.lineage.places import Place, critic_place, dataset_place, file_place, location_place, model_place, run_place
from flows.lineage.record import Record, recorded

__all__ = [
    "Place",
    "Record",
    "critic_place",
    "dataset_place",
    "file_place",
    "location_place",
    "model_place",
    "recorded",
    "run_place",
]
