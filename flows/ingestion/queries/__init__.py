"""Questions about dataset versions: a file's outcome, changes between two, related pieces, the plan of a next one."""

from flows.ingestion.queries.diff import Difference, difference
from flows.ingestion.queries.dry_run import DryRun, dry_run
from flows.ingestion.queries.families import Family, families_of
from flows.ingestion.queries.why import outcomes_of

__all__ = ["Difference", "DryRun", "Family", "difference", "dry_run", "families_of", "outcomes_of"]
