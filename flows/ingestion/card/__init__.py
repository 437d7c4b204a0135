"""The data card of a dataset version: the contents and their quality, to decide whether to train on it.

`write_card` writes `card.html` for people and `croissant.json` for machines; `markdown` is for Prefect's page and the
terminal, `gates_markdown` for the page of a version that was refused.
"""

from __future__ import annotations

import polars as pl
from pydantic_core import to_json

from flows.ingestion.card.croissant import croissant
from flows.ingestion.card.page import page
from flows.ingestion.card.summary import gates_markdown, markdown
from tokenization.dataset.version import CARD_FILE, METADATA_FILE, DatasetVersion

__all__ = ["gates_markdown", "markdown", "write_card"]


def write_card(version: DatasetVersion, manifest: pl.DataFrame) -> None:
    """Write the card and the Croissant metadata of a staged version, which has its manifest, vocabulary and shards."""
    (version.folder / CARD_FILE).write_text(page(version, manifest), encoding="utf-8")
    metadata = to_json(croissant(version, manifest), indent=1)  # many times as fast as `json`, which indents in Python
    (version.folder / METADATA_FILE).write_bytes(metadata + b"\n")
