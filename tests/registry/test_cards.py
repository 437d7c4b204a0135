"""Model cards: sections that are measured later, and descriptions that fit into MLflow's databases."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from infra.lake import Lake
from registry.cards import CARD_FILE, LONGEST, card_of, fitted, put_section, whole_card, with_section
from registry.lineage import DatasetReference
from registry.publishing import register
from registry.pulling import pull_version
from registry.runs import begin_run
from registry.store import Registry

CARD = "A small model.\n\n## Use\n\nIt composes.\n\n## Data\n\nSongs.\n"
MEASURED = "## Measured\n\n4.1 nats a note.\n"


def test_a_section_comes_before_the_others_and_replaces_the_one_of_its_heading() -> None:
    once = with_section(CARD, MEASURED)
    assert once == "A small model.\n\n## Measured\n\n4.1 nats a note.\n\n## Use\n\nIt composes.\n\n## Data\n\nSongs.\n"
    assert with_section(once, MEASURED) == once
    assert with_section(once, "## Measured\n\n3.9.") == once.replace("4.1 nats a note.", "3.9.")
    assert with_section("A small model.", MEASURED) == f"A small model.\n\n{MEASURED}\n"


@given(st.lists(st.integers(1, 900), min_size=1, max_size=20))
def test_what_fits_stays_and_what_does_not_ends_with_a_whole_line(lengths: list[int]) -> None:
    lines = ["a" * length for length in lengths]
    card = "\n".join(lines)
    shown = fitted(card)
    assert len(shown) <= LONGEST
    if len(card) <= LONGEST:
        assert shown == card
    else:
        kept, _, note = shown.partition("\n\n")
        assert kept.split("\n") == lines[: kept.count("\n") + 1] != lines
        assert note == "*The whole card is `card.md` among the version's files.*\n"


def test_the_whole_of_a_long_card_is_with_the_version(
    tmp_path: Path, bundle: Path, dataset: DatasetReference, make_registry: Callable[[Lake], Registry]
) -> None:
    registry, long = make_registry(Lake(tmp_path)), CARD + "| style | 1.0 |\n" * 500
    run = begin_run(registry, uuid.uuid4().hex, "tiny", {})
    model = register(registry, run, bundle, dataset, {}, long)
    folder = pull_version(registry, model)
    assert (folder / CARD_FILE).read_text() == whole_card(registry, model, folder) == long
    assert len(card_of(registry, model)) <= LONGEST
    put_section(registry, model, MEASURED)
    assert card_of(registry, model).startswith(f"A small model.\n\n{MEASURED}\n## Use\n")
    assert len(card_of(registry, model)) <= LONGEST
