"""The data card of a dataset version: what someone reads who has to decide whether to train on it.

`card.html` for people, `croissant.json` for machines, Markdown for Prefect's page and the terminal.
"""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from flows.ingestion.card.croissant import croissant
from flows.ingestion.card.page import page
from flows.ingestion.card.summary import markdown
from infra.object_store import Folder

CARD = "card.html"
METADATA = "croissant.json"

__all__ = ["CARD", "METADATA", "markdown", "write_card"]


def write_card(folder: Folder, manifest: pl.DataFrame, description: dict[str, Any]) -> None:
    """Write the card and the Croissant metadata of a version into its folder.

    The folder already holds `manifest.parquet`, `vocabulary.json` and the shards; `description` is the content of
    its `dataset.json`.
    """
    (folder / CARD).write_text(page(folder, manifest, description), encoding="utf-8")
    metadata = json.dumps(croissant(folder, manifest, description), indent=1, ensure_ascii=False)
    (folder / METADATA).write_text(metadata + "\n", encoding="utf-8")
