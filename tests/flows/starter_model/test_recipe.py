"""What the starter model may learn from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.ingestion.licences.policy import allowed
from flows.starter_model.recipe import LICENCES, PIECES, TOKENS, UNLISTED, free_music
from infra.lake import Lake
from tokenization.vocabulary import style_label


@pytest.fixture(scope="module")
def pieces() -> pl.DataFrame:
    return pl.read_csv(PIECES)


class TestTheList:
    def test_it_names_each_piece_once(self, pieces: pl.DataFrame) -> None:
        assert len(pieces) == pieces["path"].n_unique() == 1448

    def test_every_licence_is_free_and_named_as_spdx_names_it(self, pieces: pl.DataFrame) -> None:
        assert LICENCES.allow is not None
        assert all(allowed(pieces["licence"].unique(), LICENCES.allow).values())
        assert not any(allowed([UNLISTED, "CC-BY-NC-4.0", "CC-BY-SA-3.0", "GPL-3.0-only"], LICENCES.allow).values())

    def test_every_piece_has_a_source_and_a_style(self, pieces: pl.DataFrame) -> None:
        assert pieces.null_count().sum_horizontal().item() == 0
        assert all(style == style_label(style) for style in pieces["style"].unique())


class TestTheCollection:
    def test_only_listed_pieces_are_learned_from(
        self, tmp_path: Path, pieces: pl.DataFrame, song: Callable[..., bytes], steps: Callable[..., Any]
    ) -> None:
        listed = pieces.filter(pl.col("style").is_in(["bach", "game"])).group_by("style").first().sort("style")
        for seed, path in enumerate([*listed["path"], "pop/unlisted.mid"]):
            file = tmp_path / "corpus" / path
            file.parent.mkdir(parents=True)
            file.write_bytes(song(seed))
        made = steps(
            Lake(tmp_path / "lake"), "free", free_music(str(tmp_path / "corpus")), tokens=TOKENS, licences=LICENCES
        )
        files = made.manifest.sort("style")
        assert (
            files.filter(status="accepted").select("style", "licence").rows()
            == listed.select("style", "licence").rows()
        )
        assert files.filter(status="quarantined").select("path", "reason").rows() == [("pop/unlisted.mid", "licence")]
