"""Export: a dataset version as files that are usable without musenet.

rows         the rows of a version with plain token lists and the source of each piece
parquet      a Hugging Face-style dataset: Parquet files in `data/` and a card
hub_card     that card: `README.md` with YAML front matter
midi         the pieces as MIDI files with an index
quarantine   the refused files, as they were found
delivery     a target folder that is there whole or not at all
"""

from flows.export.delivery import Export
from flows.export.midi import export_midi
from flows.export.parquet import export_parquet
from flows.export.quarantine import export_quarantined

__all__ = ["Export", "export_midi", "export_parquet", "export_quarantined"]
