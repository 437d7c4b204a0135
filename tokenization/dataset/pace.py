"""Pace: the tokens that music takes a second, by style, measured over the pieces of a dataset version.

A model's bundle carries it as `pace.json`, so that a length in seconds can be asked for where the dataset is not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import polars as pl
from pydantic import BaseModel, ConfigDict

from tokenization.dataset.manifest import ACCEPTED
from tokenization.dataset.shards import ORIGINAL
from tokenization.dataset.splits import SPLITS
from tokenization.dataset.version import DatasetVersion

PACE_FILE = "pace.json"
FORMAT: Final = 1


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: int
    overall: float
    styles: dict[str, float]


@dataclass(frozen=True)
class Pace:
    """Tokens a second: total tokens of the unaugmented pieces over their total seconds."""

    overall: float
    styles: dict[str, float]
    """Those of styles that have pieces."""

    @classmethod
    def of(cls, version: DatasetVersion) -> Self:
        """Measure a version on this machine's disk, from its shards and its manifest."""
        shards = [str(version.folder / path) for split in SPLITS for path in version.shards(split)]
        if not shards:
            return cls(0.0, {})
        tokens = pl.scan_parquet(shards).filter(**ORIGINAL).select("piece_id", "style", "n_tokens")
        accepted = version.manifest.lazy().filter(ACCEPTED)
        pieces = tokens.join(accepted.select(piece_id="sha256", seconds="seconds"), on="piece_id")
        sums = pieces.group_by("style").agg(pl.col("n_tokens").sum(), pl.col("seconds").sum()).collect()
        sums = sums.filter(pl.col("seconds") > 0)
        rate = (pl.col("n_tokens").sum() / pl.col("seconds").sum()).round(3)
        overall = sums.select(rate).item() if len(sums) else 0.0
        styles = sums.drop_nulls("style").group_by("style").agg(rate.alias("rate")).sort("style")
        return cls(overall, dict(styles.select("style", "rate").iter_rows()))

    def tokens(self, style: str | None, seconds: float) -> int:
        """Return the tokens of so many seconds in a style; None and a style without pieces: of all music."""
        return round(self.styles.get(style or "", self.overall) * seconds)

    def write(self, folder: Path) -> None:
        """Write `pace.json`. Not atomic: write into a staging folder."""
        content = {"format": FORMAT, "overall": self.overall, "styles": self.styles}
        (folder / PACE_FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what `write` wrote. Raises OSError, and ValueError for a file of another form."""
        content = _File.model_validate_json((folder / PACE_FILE).read_bytes())
        if content.format != FORMAT:
            raise ValueError(f"{PACE_FILE} has format {content.format}; this version of musenet reads format {FORMAT}")
        return cls(content.overall, content.styles)
