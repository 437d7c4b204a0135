"""The map of styles: t-SNE (van der Maaten and Hinton, 2008) of the cosine similarity of their embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from registry.serving.answers import StyleAnswer, StylesAnswer

NEAREST = 5
"""Neighbours that are named."""
FEWEST = 5
"""Styles from which on there is a map; fewer stand in a line."""


def style_map(names: Sequence[str], similarities: NDArray[np.float32]) -> StylesAnswer:
    """Return the places of styles with given cosine similarities, shape (styles, styles), from -1 to 1.

    The same similarities give the same map.
    """
    places = _places(similarities)
    order = np.argsort(-similarities, axis=1, kind="stable")
    styles = []
    for number, (name, (x, y)) in enumerate(zip(names, places.tolist())):
        nearest = [names[other] for other in order[number].tolist() if other != number][:NEAREST]
        styles.append(StyleAnswer(name=name, x=round(x, 4), y=round(y, 4), nearest=nearest))
    return StylesAnswer(styles=styles)


def _places(similarities: NDArray[np.float32]) -> NDArray[np.float64]:
    count = len(similarities)
    if count < FEWEST:
        return np.stack([np.linspace(-1, 1, count) if count > 1 else np.zeros(count), np.zeros(count)], axis=1)
    from sklearn.manifold import TSNE

    distances = np.maximum(1 - similarities.astype(np.float64), 0)
    np.fill_diagonal(distances, 0)
    perplexity = min(30.0, (count - 1) / 2)  # of a few styles all count as neighbours
    tsne = TSNE(metric="precomputed", init="random", perplexity=perplexity, random_state=0)
    places: NDArray[np.float64] = tsne.fit_transform(distances).astype(np.float64)
    places -= (places.max(axis=0) + places.min(axis=0)) / 2
    places /= max(np.abs(places).max(), 1e-12)
    return places
