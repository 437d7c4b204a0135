"""The map of styles: alike styles are neighbours, and the same files give the same map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from registry.style_map import StyleMap
from tokenization.dataset import read_encoding


def test_styles_of_a_kind_lie_together() -> None:
    random = np.random.default_rng(0)
    kinds = random.normal(size=(3, 16))
    vectors = np.concatenate([kind + 0.2 * random.normal(size=(6, 16)) for kind in kinds])
    names = tuple(f"style{number}" for number in range(18))
    found = StyleMap.of_vectors(names, vectors)
    for style in range(18):
        assert {other // 6 for other, _ in found.neighbours(style, 5)} == {style // 6}
        apart = np.linalg.norm(found.places - found.places[style], axis=1)
        assert {int(other) // 6 for other in np.argsort(apart)[1:4]} == {style // 6}
    assert found.places.min() == 0 and found.places.max() == 1
    assert (StyleMap.of_vectors(names, vectors).places == found.places).all()


def test_similarity_is_the_cosine_of_embeddings() -> None:
    found = StyleMap.of_vectors(("a", "b", "c"), np.array([[1.0, 0.0], [2.0, 2.0], [-3.0, 0.0]]))
    assert found.similarity == pytest.approx(
        np.array([[1, 0.5**0.5, -1], [0.5**0.5, 1, -(0.5**0.5)], [-1, -(0.5**0.5), 1]])
    )
    assert [other for other, _ in found.neighbours(0, 2)] == [1, 2]


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_few_styles_have_places_too(count: int) -> None:
    found = StyleMap.of_vectors(tuple("abc"[:count]), np.eye(3)[:count])
    assert found.places.shape == (count, 2)
    assert len({tuple(place) for place in found.places.round(3).tolist()}) == count


def test_a_version_s_files_have_one(bundle: Path) -> None:
    assert StyleMap.of_files(bundle).styles == read_encoding(bundle).vocabulary.styles == ("bach", "jazz")
