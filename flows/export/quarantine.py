"""Export of refused files: the originals, collected by reason, with an index."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl

from flows.export.delivery import Export, delivered, written
from flows.ingestion.queries.originals import read_originals, safe_name
from flows.ingestion.sources import ReadFailure
from infra.lake import Lake
from tokenization.dataset import DatasetVersion

INDEX = "index.csv"
COPIED, UNVERIFIED = "copied", "copied, not verified"
ABOUT = ("collection", "path", "reason", "detail", "size", "licence", "sha256")
"""Columns of the manifest in the index."""


def export_quarantined(
    version: DatasetVersion, files: pl.DataFrame, lake: Lake, target: Path, progress: Callable[[int, int], None]
) -> Export:
    """Copy files (rows of the manifest) to `target/<reason>/`, and list all of them in `index.csv` and `index.json`.

    Files with the same bytes are copied once. The index has a row for every file, with the name of its copy and
    `copied`, or the reason for which there is none. Raises UserError for a target that is no new folder.
    """
    rows = []
    with delivered(target) as folder:
        contents = read_originals(version, files, lake)
        for number, (row, (data, same)) in enumerate(zip(files.select(ABOUT).to_dicts(), contents, strict=True), 1):
            copy = None
            if not isinstance(data, ReadFailure):
                name = f"{row['sha256'][:12] if row['sha256'] else number}_{safe_name(row['path'])}"
                copy = f"{row['reason']}/{name}"
                (folder / row["reason"]).mkdir(exist_ok=True)
                (folder / copy).write_bytes(data)
            outcome = data.detail if isinstance(data, ReadFailure) else COPIED if same else UNVERIFIED
            rows.append({"copy": copy, "outcome": outcome, **row})
            progress(number, len(files))
        index = pl.DataFrame(rows, schema={"copy": pl.String, "outcome": pl.String, **files.select(ABOUT).schema})
        index.write_csv(folder / INDEX)
        (folder / "index.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return written(target, index["copy"].count())
