"""Samples for the studio are the first of each style, whatever they are."""

from __future__ import annotations

import json
from pathlib import Path

from flows.sampling.request_table import read_requests
from flows.studio.table import sample_table_of, uncurated
from registry.requests import PieceRequest


def requests(folder: Path, styles: list[str], count: int) -> list[PieceRequest | None]:
    (folder / "requests.json").write_text(json.dumps(sample_table_of(styles, count)))
    return [row.request for row in read_requests(folder / "requests.json", uncurated(30.0))]


def test_each_style_has_the_first_seeds(tmp_path: Path) -> None:
    found = requests(tmp_path, ["bach", "jazz"], 2)
    assert [(each.style, each.seed) for each in found if each] == [("bach", 0), ("bach", 1), ("jazz", 0), ("jazz", 1)]


def test_none_is_chosen_from_others(tmp_path: Path) -> None:
    assert all(each and (each.best_of, each.rank) == (1, "none") for each in requests(tmp_path, ["bach"], 3))


def test_a_model_without_styles_has_samples_too(tmp_path: Path) -> None:
    assert [each.style for each in requests(tmp_path, [], 2) if each] == [None, None]
