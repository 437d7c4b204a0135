"""Composed pieces that keep their key and their metre, beside real ones.

    python tests/benchmarks/key_and_metre.py EVALUATION [--seconds 30] [--json FILE]

EVALUATION is a folder that `musenet evaluate` wrote. A piece keeps its key if the share of its notes in the scale that
holds most of them, and its metre if the likeness of neighbouring bars' onsets, is at least what all but a tenth of the
held-out pieces of its style reach. Bar: a majority of the composed pieces of the least length keeps both.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import polars as pl
import torch
from report import Bar, circumstances, show_bars, table, write_json

from flows.evaluation.evaluation import SAMPLES
from flows.evaluation.flow import PIECES_FILE
from flows.evaluation.measured import HELD_OUT, REAL

KEY, METRE = "scale_share", "groove_consistency"
LEAST = 0.1
"""Quantile of held-out pieces that a piece has to reach."""
MAJORITY = 0.5


def kept(pieces: pl.DataFrame, seconds: float) -> pl.DataFrame:
    """Return a row for each group and set: pieces of the least length, and the shares that keep key, metre and both."""
    long = pieces.filter(pl.col("seconds") >= seconds)
    least = (
        long.filter(set=HELD_OUT)
        .group_by("group")
        .agg(pl.col(KEY).quantile(LEAST).alias("least_key"), pl.col(METRE).quantile(LEAST).alias("least_metre"))
    )
    key, metre = pl.col(KEY) >= pl.col("least_key"), pl.col(METRE) >= pl.col("least_metre")
    return (
        long.filter(pl.col("set").is_in([SAMPLES, HELD_OUT, REAL]))
        .join(least, on="group")
        .group_by("group", "set")
        .agg(
            pl.len().alias("pieces"),
            key.mean().alias("key"),
            metre.mean().alias("metre"),
            (key & metre).mean().alias("both"),
        )
        .sort("group", "set")
    )


def main() -> int:
    """Print the shares by style and set, and check the bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("evaluation", type=Path)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = kept(pl.read_parquet(options.evaluation / PIECES_FILE), options.seconds)
    heads = ("style", "pieces", "of", "key", "metre", "both")
    rows = [
        (row["group"], row["set"], str(row["pieces"]), *(f"{row[name]:.0%}" for name in ("key", "metre", "both")))
        for row in found.iter_rows(named=True)
    ]
    print(table(heads, rows))
    composed = found.filter(set=SAMPLES)
    both = float((composed["both"] * composed["pieces"]).sum() / max(composed["pieces"].sum(), 1))
    bars = [Bar("share of composed pieces that keep key and metre", both, MAJORITY)]
    if options.json is not None:
        write_json(options.json, circumstances(torch.device("cpu")), {"kept": found.to_dicts()}, bars)
    return show_bars(bars)


if __name__ == "__main__":
    sys.exit(main())
