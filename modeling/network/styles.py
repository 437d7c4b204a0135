"""The embeddings of styles: what a network has learned of how they are alike."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from modeling.network.transformer import MuseNet
from tokenization.vocabulary import Vocabulary


@torch.no_grad()
def style_vectors(model: MuseNet, vocabulary: Vocabulary) -> NDArray[np.float32]:
    """Return the embeddings of a vocabulary's styles, shape (styles, d_model).

    They are those added at every position where the network has them, else those of the header's tokens.
    """
    embeddings = model.embeddings
    ids = torch.arange(len(vocabulary.styles)) + vocabulary.style_base
    ids = ids.to(model.norm.weight.device)
    found = embeddings.token()[ids] if embeddings.style is None else embeddings.style(ids)
    vectors: NDArray[np.float32] = found.float().cpu().numpy()
    return vectors


def style_similarities(model: MuseNet, vocabulary: Vocabulary) -> NDArray[np.float32]:
    """Return the cosine similarities of the embeddings of styles, shape (styles, styles)."""
    vectors = style_vectors(model, vocabulary)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    similarities: NDArray[np.float32] = np.clip(unit @ unit.T, -1, 1)
    return similarities
