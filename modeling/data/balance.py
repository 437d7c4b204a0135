"""Balance: how often the pieces of each style stand in an epoch, so that small styles are learned too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def balanced_copies(
    sizes: NDArray[np.int64], styles: NDArray[np.int64], exponent: float, seed: int
) -> NDArray[np.int64]:
    """Return how often each piece stands in an epoch, at least once, shape (pieces,).

    Styles then have shares of the tokens in proportion to `tokens ** (1 - exponent)`, as languages have in multilingual
    models (Conneau et al., 2020): 0 leaves them as they are, 1 makes them equal. `sizes`: tokens of the pieces.
    `styles`: the style of each, any number. `seed` chooses the pieces of a style that stand once more than the others.
    """
    _, style = np.unique(styles, return_inverse=True)
    tokens = np.bincount(style, sizes)
    rate = (tokens.max(initial=1.0) / np.maximum(tokens, 1.0)) ** exponent
    order = np.lexsort((np.random.default_rng(seed).random(len(style)), style))
    count = np.bincount(style)
    place = np.empty(len(style), np.int64)
    place[order] = np.arange(len(style)) - np.repeat(np.cumsum(count) - count, count)
    whole = np.floor(rate).astype(np.int64)
    more = np.rint((rate - whole) * count).astype(np.int64)
    copies: NDArray[np.int64] = whole[style] + (place < more[style])
    return copies
