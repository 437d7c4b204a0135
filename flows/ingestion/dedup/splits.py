"""Splits: the assignment of families to training, validation and test. A family never crosses a split.

Shares hold within every style. A family keeps the split that an earlier version of the dataset gave it: new files
never turn held-out music into training data.
"""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from tokenization.dataset.splits import TEST, TRAIN, VALIDATION

STRICTNESS = {TRAIN: 0, VALIDATION: 1, TEST: 2}
"""Precedence of the splits that the members of one family had before; the greatest counts."""


class SplitShares(BaseModel):
    """Shares of families that are held out; the rest is for training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    validation: float = Field(0.1, ge=0, lt=0.5)
    test: float = Field(0.1, ge=0, lt=0.5)
    seed: int = 0


def assign_splits(pieces: pl.DataFrame, shares: SplitShares, inherited: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return the split of every family: columns `family`, `split`.

    `pieces`: columns `sha256`, `family` and `style` of all pieces that are not quarantined; the first of equal ones
    determines the style. `inherited`: columns `sha256` and `split` of an earlier version. A family with members in it
    goes to the strictest of their splits (a new file may link families into one). The others, in the order of a hash,
    fill what each style lacks of its shares, rounded to whole families.
    """
    named = pieces.filter(pl.col("sha256") == pl.col("family"))  # copies of the best piece may have another style
    families = named.unique("family", keep="first", maintain_order=True).select("family", "style")
    if inherited is None or inherited.is_empty():
        families = families.with_columns(pl.lit(None, pl.Int8).alias("placed"))
    else:
        strict = pl.col("split").replace_strict(STRICTNESS, return_dtype=pl.Int8)
        before = inherited.select("sha256", strict.alias("placed")).group_by("sha256").max()
        placed = pieces.join(before, on="sha256").group_by("family").agg(pl.col("placed").max())
        families = families.join(placed, on="family", how="left")
    held = [(pl.col("placed") == STRICTNESS[split]).sum().cast(pl.Int64) for split in (VALIDATION, TEST)]
    wanted = [(pl.len() * share + 0.5).floor().cast(pl.Int64) for share in (shares.validation, shares.test)]
    lacking = families.group_by("style").agg(
        (want - have).clip(0).alias(split) for split, want, have in zip((VALIDATION, TEST), wanted, held, strict=True)
    )
    old, new = families.drop_nulls("placed"), families.filter(pl.col("placed").is_null())
    numbers = (_draw(f"{shares.seed}:{family}") for family in new["family"])
    draws = pl.Series("draw", np.fromiter(numbers, np.uint64, len(new)))
    rank = pl.int_range(pl.len()).over("style").alias("rank")
    ranked = new.with_columns(draws).sort("draw", "family").with_columns(rank)
    ranked = ranked.join(lacking, on="style", nulls_equal=True)
    drawn = (
        pl.when(pl.col("rank") < pl.col(TEST))
        .then(pl.lit(TEST))
        .when(pl.col("rank") < pl.col(TEST) + pl.col(VALIDATION))
        .then(pl.lit(VALIDATION))
        .otherwise(pl.lit(TRAIN))
    )
    inherited_split = pl.col("placed").replace_strict({v: k for k, v in STRICTNESS.items()}, return_dtype=pl.String)
    return pl.concat(
        [ranked.select("family", drawn.alias("split")), old.select("family", inherited_split.alias("split"))]
    )


def _draw(text: str) -> int:
    """Return 64 bits that depend on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
