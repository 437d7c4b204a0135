"""Aliases: moved once by whoever is first, and given back to who had them before."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.errors import RunError
from infra.lake import Lake
from registry.aliases import AliasChanged, alias_history, move_alias, roll_back, version_of
from registry.lineage import DatasetReference
from registry.models import CHAMPION, set_alias
from registry.publishing import register
from registry.runs import begin_run
from registry.store import Registry


@pytest.fixture(scope="module")
def three(
    tmp_path_factory: pytest.TempPathFactory,
    make_registry: Callable[[Lake], Registry],
    make_bundle: Callable[..., Path],
    dataset: DatasetReference,
) -> Registry:
    """A registry with three versions."""
    store = make_registry(Lake(tmp_path_factory.mktemp("lake")))
    run = begin_run(store, uuid.uuid4().hex, "tiny", {})
    for seed in range(3):
        register(store, run, make_bundle(seed=10 + seed), dataset, {}, "")
    return store


@pytest.fixture(autouse=True)
def no_champion(three: Registry) -> None:
    three.client.delete_registered_model_alias("musenet", CHAMPION)
    three.client.delete_registered_model_tag("musenet", f"history.{CHAMPION}")


def test_the_history_says_who_was_champion(three: Registry) -> None:
    move_alias(three, CHAMPION, "1", None, "promoted")
    move_alias(three, CHAMPION, "2", "1", "forced")
    assert [(change.version, change.how) for change in alias_history(three, CHAMPION)] == [
        ("1", "promoted"),
        ("2", "forced"),
    ]
    assert version_of(three, CHAMPION) == "2"


def test_a_rollback_gives_it_back_and_a_further_one_goes_further_back(three: Registry) -> None:
    for version, before in (("1", None), ("2", "1"), ("3", "2")):
        move_alias(three, CHAMPION, version, before, "promoted")
    assert roll_back(three, CHAMPION) == ("3", "2")
    assert roll_back(three, CHAMPION) == ("2", "1")
    with pytest.raises(RunError, match="version 1 is the first champion: nothing was it before"):
        roll_back(three, CHAMPION)
    assert version_of(three, CHAMPION) == "1"


def test_an_alias_that_was_moved_by_other_means_is_in_the_history_too(three: Registry) -> None:
    set_alias(three, "3", CHAMPION)
    move_alias(three, CHAMPION, "1", "3", "promoted")
    assert roll_back(three, CHAMPION) == ("1", "3")


def test_of_two_promotions_at_once_one_is_first(three: Registry) -> None:
    move_alias(three, CHAMPION, "1", None, "promoted")

    def attempt(version: str) -> str:
        try:
            move_alias(three, CHAMPION, version, "1", "promoted")
        except AliasChanged as error:
            return str(error)
        return version

    with ThreadPoolExecutor(2) as threads:
        winner, message = sorted(threads.map(attempt, ("2", "3")), key=len)
    assert message == f"champion is version {winner} by now, not 1; another promotion was first"
    assert version_of(three, CHAMPION) == winner
    assert [change.version for change in alias_history(three, CHAMPION)] == ["1", winner]


def test_nobody_is_champion_of_nothing(three: Registry) -> None:
    with pytest.raises(RunError, match="no version is champion"):
        roll_back(three, CHAMPION)
