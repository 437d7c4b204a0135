"""A model version with random weights, ready to compose."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from registry.composer import Composer
from registry.identity import ModelIdentity
from registry.piece import Piece

Compose = Callable[..., Piece]


@pytest.fixture(scope="session")
def composer(make_bundle: Callable[..., Path]) -> Composer:
    bundle = make_bundle()
    return Composer(bundle, ModelIdentity.of_files(bundle))


@pytest.fixture(scope="session")
def piece(composer: Composer) -> Piece:
    return composer.compose(style="bach", instruments=["piano"], length=64, best_of=2, seed=7)
