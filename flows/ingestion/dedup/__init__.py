"""Deduplication: quarantine, equal music, families and splits, assembled into the manifest.

`build_manifest.build_manifest` gives every file its outcome; the settings of its steps are `Limits`, `Duplicates` and
`SplitShares`.
"""

from flows.ingestion.dedup.equal_music import Duplicates
from flows.ingestion.dedup.quarantine import Limits
from flows.ingestion.dedup.splits import SplitShares

__all__ = ["Duplicates", "Limits", "SplitShares"]
