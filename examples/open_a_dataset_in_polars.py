"""Open a dataset's shards without musenet's own readers, and turn a row of tokens back into text and MIDI.

python examples/open_a_dataset_in_polars.py mine --out first.mid
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl

import musenet


def main() -> None:
    parser = argparse.ArgumentParser(description="Open a dataset's shards in polars.")
    parser.add_argument("dataset", help="NAME or NAME@DIGEST")
    parser.add_argument("--lake", help="folder that everything is written to (default ./lake)")
    parser.add_argument("--out", type=Path, default=Path("first.mid"), help="MIDI file of the first training piece")
    arguments = parser.parse_args()

    version = musenet.open_dataset(arguments.dataset, lake=arguments.lake)
    rows = pl.read_parquet(f"{version.folder}/train/*.parquet")
    print(rows.group_by("style").agg(pl.len().alias("rows"), pl.col("n_tokens").sum()).sort("style"))

    # Tokens are little-endian uint16 in a binary column; all rows joined are one array.
    tokens = np.frombuffer(b"".join(rows["tokens"]), "<u2")
    counts = np.bincount(tokens)
    vocabulary = version.vocabulary
    for token in np.argsort(counts)[::-1][:10]:
        print(f"{counts[token]:>8,}  {vocabulary.to_text(np.array([token], np.uint16))}")

    first = np.frombuffer(rows["tokens"][0], "<u2")
    print(vocabulary.to_text(first[:12]), "…")
    arguments.out.write_bytes(musenet.decode(first, encoding=version.encoding))
    print(arguments.out)


if __name__ == "__main__":
    main()
