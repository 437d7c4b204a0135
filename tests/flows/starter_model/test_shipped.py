"""The starter model as it ships: small, complete, of listed pieces only, and music from the first minute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from flows.registration.importing import import_model
from flows.starter_model.attribution import ATTRIBUTION_PAGE
from flows.starter_model.recipe import PIECES, TOKENS
from flows.starter_model.shipped import STARTER, STARTER_FILE
from flows.warm_start.heard import read_identities
from infra.errors import UserError
from infra.lake import Lake
from registry.cards import card_of
from registry.loading import open_composer
from registry.models import RegisteredModel
from registry.pulling import pull, pull_version
from registry.store import Registry
from tokenization.midi import read_midi

pytestmark = pytest.mark.slow

LARGEST = 16e6


@pytest.fixture(scope="module")
def imported(
    tmp_path_factory: pytest.TempPathFactory, make_registry: Callable[[Lake], Registry]
) -> tuple[Registry, RegisteredModel]:
    """The model in an empty lake, as champion."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    registry = make_registry(lake)
    model, refused = import_model(lake, Path(STARTER), "champion")
    assert (model.aliases, refused) == (("champion",), None)
    return registry, model


def test_it_is_small_enough_to_ship() -> None:
    assert STARTER_FILE.stat().st_size <= LARGEST


def test_it_knows_the_listed_styles(imported: tuple[Registry, RegisteredModel]) -> None:
    registry, model = imported
    composer = open_composer(registry, model)
    assert set(composer.styles) == set(pl.read_csv(PIECES)["style"])
    assert (composer.encoding.name, composer.encoding.time) == (TOKENS.encoding, TOKENS.time)


def test_it_says_what_it_has_learned_from(imported: tuple[Registry, RegisteredModel]) -> None:
    registry, model = imported
    identities = read_identities(pull(registry, model))
    assert identities.complete
    assert 900 < len(identities) <= len(pl.read_csv(PIECES))
    card = card_of(registry, model)
    assert "## Attribution" in card
    assert "rounded to 16 bits" in card
    assert (pull_version(registry, model) / ATTRIBUTION_PAGE).read_text().startswith("<!doctype html>")


def test_it_composes_and_judges(imported: tuple[Registry, RegisteredModel]) -> None:
    piece = open_composer(*imported).compose(style="bach", instruments=["piano"], seconds=8, best_of=2)
    notes = read_midi(piece.midi)
    assert 6 < (notes.onset + notes.duration).max() < 10
    assert piece.score is not None
    assert 0 < piece.score < 1


def test_an_alias_that_cannot_be_is_refused_before_anything_is_imported(tmp_path: Path) -> None:
    for alias in ("latest", "v1", "Best"):
        with pytest.raises(UserError, match=f"no alias '{alias}'"):
            import_model(Lake(tmp_path / "lake"), Path(STARTER), alias)
    assert not (tmp_path / "lake").exists()
