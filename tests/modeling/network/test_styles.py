"""The embeddings of styles, whichever table they are in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from modeling.network.styles import style_similarities, style_vectors
from modeling.network.transformer import MuseNet
from tokenization.vocabulary import Vocabulary


@pytest.mark.parametrize("structure", [(), ("style",)])
def test_styles_with_the_same_embedding_are_alike(
    structure: tuple[str, ...], make_model: Callable[..., MuseNet], vocabulary: Vocabulary
) -> None:
    model = make_model(structure=structure, factored_notes=False)
    table = model.embeddings.style
    with torch.no_grad():
        weight, first = (model.embeddings.token(), vocabulary.style_base) if table is None else (table.weight, 0)
        weight[first + 1] = 2 * weight[first]
    vectors = style_vectors(model, vocabulary)
    assert vectors.shape == (len(vocabulary.styles), model.config.d_model)
    found = style_similarities(model, vocabulary)
    assert found[0, 1] == pytest.approx(1)
    assert np.allclose(np.diag(found), 1)
    assert np.allclose(found, found.T)
