"""The headers under which next tokens are predicted, and the weights of the predictions: guidance, blends of styles."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modeling.generation.direction import Direction
from modeling.generation.executors import Floats
from tokenization.vocabulary import Vocabulary

KEPT = -1
"""In place of a token of a header: that of the piece."""


class Header(NamedTuple):
    """What a window begins with in place of the piece's own style and instrumentation."""

    style: int = KEPT
    instrumentation: int = KEPT


class Mixture:
    """The styles of a blend, and with guidance above 1 neither style nor instrumentation.

    Raises VocabularyError for an unknown style.
    """

    def __init__(self, vocabulary: Vocabulary, direction: Direction, guidance: float) -> None:
        self._blend, self._guidance = direction.blend, np.float32(guidance)
        styles = [Header()] if direction.blend is None else []
        for style in () if direction.blend is None else direction.blend.styles:
            styles.append(Header(style=vocabulary.style_id(style)))
        free = [Header(vocabulary.no_style, vocabulary.no_instrumentation)]
        self.headers = tuple(styles if guidance == 1 else styles + free)

    def weights(self, seconds: NDArray[np.float64]) -> Floats:
        """Return the weights of the headers at times of pieces, shape (pieces, headers); their sum is 1."""
        ones = np.ones((len(seconds), 1), np.float32)
        styles = ones if self._blend is None else self._blend.weights(seconds)
        if self._guidance == 1:
            return styles
        return np.concatenate([self._guidance * styles, (1 - self._guidance) * ones], axis=1)
