"""What the starter model may learn from."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from flows.ingestion.licences.policy import allowed
from flows.starter_model.attribution import ATTRIBUTION_PAGE, attribution_note, attribution_page
from flows.starter_model.recipe import LICENCES, PIECES, TOKENS, UNLISTED, free_music
from infra.lake import Lake
from tokenization.vocabulary import style_label


@pytest.fixture(scope="module")
def pieces() -> pl.DataFrame:
    return pl.read_csv(PIECES)


class TestTheList:
    def test_it_names_each_piece_once(self, pieces: pl.DataFrame) -> None:
        assert len(pieces) == pieces["path"].n_unique() == 1240

    def test_every_licence_is_free_and_named_as_spdx_names_it(self, pieces: pl.DataFrame) -> None:
        assert LICENCES.allow is not None
        assert all(allowed(pieces["licence"].unique(), LICENCES.allow).values())
        assert not any(allowed([UNLISTED, "CC-BY-NC-4.0", "CC-BY-SA-3.0", "GPL-3.0-only"], LICENCES.allow).values())

    def test_every_piece_has_a_source_and_a_style(self, pieces: pl.DataFrame) -> None:
        assert pieces.null_count().sum_horizontal().item() == 0
        assert all(style == style_label(style) for style in pieces["style"].unique())


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory,
    pieces: pl.DataFrame,
    song: Callable[..., bytes],
    steps: Callable[..., Any],
) -> Any:
    """The ingestion of one listed piece of Bach, one of a game, and one that is not listed."""
    home = tmp_path_factory.mktemp("starter")
    listed = pieces.filter(pl.col("style").is_in(["bach", "game"])).group_by("style").first().sort("style")
    for seed, path in enumerate([*listed["path"], "pop/unlisted.mid"]):
        file = home / "corpus" / path
        file.parent.mkdir(parents=True)
        file.write_bytes(song(seed))
    return steps(Lake(home / "lake"), "free", free_music(str(home / "corpus")), tokens=TOKENS, licences=LICENCES)


class TestTheCollection:
    def test_only_listed_pieces_are_learned_from(self, made: Any, pieces: pl.DataFrame) -> None:
        files = made.manifest.sort("style")
        accepted = files.filter(status="accepted").select("path", "style", "licence")
        assert accepted.rows() == pieces.join(accepted, on="path").sort("style").select(accepted.columns).rows()
        assert accepted["style"].to_list() == ["bach", "game"]
        assert files.filter(status="quarantined").select("path", "reason").rows() == [("pop/unlisted.mid", "licence")]


class TestAttribution:
    def test_the_page_lists_each_piece_with_source_and_licence(self, made: Any, pieces: pl.DataFrame) -> None:
        page = attribution_page(made.version)
        for path, source, licence in made.manifest.join(pieces, on="path").select("path", "source", "licence").rows():
            assert html.escape(path) in page
            assert f"<h2>{html.escape(source)}, {licence}</h2>" in page
        assert "unlisted" not in page
        assert "<p>2 pieces of 2 sources" in page

    def test_the_card_has_the_sources_and_names_the_page(self, made: Any, pieces: pl.DataFrame) -> None:
        note = attribution_note(made.version)
        assert note.startswith("\n\n## Attribution\n")
        for source, licence in made.manifest.join(pieces, on="path").select("source", "licence").rows():
            assert f"| {source} | {licence} | 1 |" in note
        assert ATTRIBUTION_PAGE in note
