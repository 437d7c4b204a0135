"""How often pieces of each style of a dataset come back to what they had, for `[drawing.style_returns]` of a preset.

    python tests/benchmarks/returns.py --lake DIR --dataset NAME

Of each style's training pieces bars four, six and eight apart are compared with those five and seven apart: sections
that come back make the former more alike. Pieces that were composed with two fifths of their sections recalled, and no
style's own share, are as much more alike as COMPOSED says, by which the shares are scaled. A line for each style: its
pieces, how much more alike, and the share.
"""

from __future__ import annotations

import argparse
import sys
import warnings

import numpy as np
from numpy.typing import NDArray
from report import table

from infra.lake import Lake
from modeling.controls.form import RETURNS
from modeling.data import load_split
from tokenization.dataset import find_version
from tokenization.encodings import Time
from tokenization.measures import measure
from tokenization.measures.passage import Extract

COMPOSED = 0.065
"""How much more alike bars four, six and eight apart were in 4,096 pieces of the starter model (`musenet evaluate`)."""
SECTIONS, BETWEEN = [3, 5, 7], [4, 6]
"""Places of those bars in the self-similarity of a piece, which begins with bars one apart."""
NOTES = 256
"""Of each piece, as `musenet evaluate` takes them."""
MOST = 0.95
LEAST_PIECES = 8


def main() -> int:
    """Print a line for each style."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", required=True)
    parser.add_argument("--dataset", required=True)
    options = parser.parse_args()
    lake = Lake.at(options.lake)
    version = find_version(lake, options.dataset).local(lake)
    split = load_split(version.path, "train")
    in_beats = split.encoding.time is Time.BEATS
    profiles: dict[str, list[NDArray[np.float64]]] = {}
    for style, tokens in zip(split.styles, split.pieces):
        found = measure(split.encoding.decode(np.asarray(tokens)), Extract(notes=NOTES), in_beats=in_beats)
        profiles.setdefault(style or "", []).append(np.asarray(found.values["self_similarity"]))
    rows = []
    for style, own in sorted(profiles.items()):
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # all of a column are NaN
            mean = np.nanmean(np.stack(own), axis=0)
        more = mean[SECTIONS].mean() - mean[BETWEEN].mean()
        share = min(max(RETURNS * more / COMPOSED, 0.0), MOST)
        rows.append([style, str(len(own)), f"{more:.3f}", f"{share:.2f}" if len(own) >= LEAST_PIECES else "too few"])
    print(table(["style", "pieces", "more alike", "returns"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
