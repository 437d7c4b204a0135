"""The map of a model's styles: how alike their embeddings are, and places in a plane where alike ones are near."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modeling.network.weights import style_vectors
from tokenization.dataset import read_encoding

FEWEST = 4
"""Styles that t-SNE arranges; fewer lie on a circle."""
PERPLEXITY = 12.0
"""Neighbours that t-SNE keeps near, about; at most a third of the styles."""


@dataclass(frozen=True)
class StyleMap:
    """The styles of a model, with similarities and places."""

    styles: tuple[str, ...]
    similarity: NDArray[np.float64]
    """Cosine similarity of the embeddings, shape (styles, styles)."""
    places: NDArray[np.float64]
    """Horizontal and vertical place of each style, from 0 to 1, shape (styles, 2)."""

    @classmethod
    def of_files(cls, files: Path) -> StyleMap:
        """Return the map of a version's files; equal files give equal maps. Raises WeightsError and OSError."""
        vocabulary = read_encoding(files).vocabulary
        styles = vocabulary.styles
        vectors = style_vectors(files, [vocabulary.style_id(style) for style in styles]).astype(np.float64)
        return cls.of_vectors(styles, vectors)

    @classmethod
    def of_vectors(cls, styles: tuple[str, ...], vectors: NDArray[np.float64]) -> StyleMap:
        """Return the map of styles with these embeddings, shape (styles, d_model)."""
        unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        similarity = np.clip(unit @ unit.T, -1.0, 1.0)
        return cls(styles, similarity, _arrange(similarity))

    def neighbours(self, style: int, count: int) -> list[tuple[int, float]]:
        """Return the styles that are most alike to one, with their similarities, the most alike first."""
        others = [other for other in range(len(self.styles)) if other != style]
        others.sort(key=lambda other: -self.similarity[style, other])
        return [(other, float(self.similarity[style, other])) for other in others[:count]]


def _arrange(similarity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return places from 0 to 1: by t-SNE (van der Maaten and Hinton, 2008) of the distances 1 − similarity."""
    count = len(similarity)
    if count < FEWEST:
        angle = 2 * np.pi * np.arange(count) / max(count, 1)
        return 0.5 + 0.5 * np.stack([np.cos(angle), np.sin(angle)], axis=1) * (count > 1)
    from sklearn.manifold import TSNE

    apart = np.maximum(1.0 - similarity, 0.0)
    np.fill_diagonal(apart, 0.0)
    perplexity = min(PERPLEXITY, (count - 1) / 3)
    arranged = TSNE(metric="precomputed", init="random", random_state=0, perplexity=perplexity, method="exact")
    found = arranged.fit_transform(apart).astype(np.float64)
    low, high = found.min(axis=0), found.max(axis=0)
    places: NDArray[np.float64] = (found - low) / np.maximum(high - low, 1e-12)
    return places
