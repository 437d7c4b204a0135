"""Questions about dataset versions: a file's outcome, changes between two, related pieces, the plan of a next one,
the refused files."""

from flows.ingestion.queries.diff import Difference, difference
from flows.ingestion.queries.dry_run import DryRun, dry_run
from flows.ingestion.queries.families import Family, families_of
from flows.ingestion.queries.quarantine import Redecision, first_of_each_reason, quarantined, redecide
from flows.ingestion.queries.why import outcomes_of

__all__ = [
    "Difference",
    "DryRun",
    "Family",
    "Redecision",
    "difference",
    "dry_run",
    "families_of",
    "first_of_each_reason",
    "outcomes_of",
    "quarantined",
    "redecide",
]
