"""Tables of requests: CSV, Parquet and JSON mean the same, and each row is a request or an error."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from flows.sampling.request_table import RequestRow, read_requests
from infra.errors import UserError
from registry.requests import PieceRequest

EXPECTED = [
    RequestRow(1, PieceRequest(style="bach", instruments=("piano", "strings"), seed=1, best_of=2)),
    RequestRow(2, PieceRequest(seed=2, best_of=2, temperature=0.9)),
]


class TestAForm:
    def test_csv(self, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text('style,instruments,seed,temperature\nbach,"piano, strings",1,\n,,2,0.9\n')
        assert read_requests(tmp_path / "t.csv", {"best_of": 2}) == EXPECTED

    def test_parquet(self, tmp_path: Path) -> None:
        rows = {
            "style": ["bach", None],
            "instruments": [["piano", "strings"], []],
            "seed": [1, 2],
            "temperature": [None, 0.9],
        }
        pl.DataFrame(rows).write_parquet(tmp_path / "t.parquet")
        assert read_requests(tmp_path / "t.parquet", {"best_of": 2}) == EXPECTED

    def test_json_rows(self, tmp_path: Path) -> None:
        rows = [{"style": "bach", "instruments": ["piano", "strings"], "seed": 1}, {"seed": 2, "temperature": 0.9}]
        (tmp_path / "t.json").write_text(json.dumps(rows))
        assert read_requests(tmp_path / "t.json", {"best_of": 2}) == EXPECTED

    def test_json_lists_stand_for_all_combinations(self, tmp_path: Path) -> None:
        (tmp_path / "t.json").write_text('{"style": ["bach", "jazz"], "seed": [0, 1, 2], "length": 64}')
        requests = [row.request for row in read_requests(tmp_path / "t.json", {})]
        assert [(r.style, r.seed, r.length) for r in requests if r is not None] == [
            (style, seed, 64) for style in ("bach", "jazz") for seed in range(3)
        ]


def test_a_cell_wins_over_the_value_for_all_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("style,seed\nbach,1\n,2\n")
    rows = read_requests(tmp_path / "t.csv", {"style": "jazz"})
    assert [row.request.style for row in rows if row.request is not None] == ["bach", "jazz"]


def test_prompts_are_looked_up_from_the_folder_of_the_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("prompt\nidea.mid\n/music/idea.mid\n")
    prompts = [row.request.prompt for row in read_requests(tmp_path / "t.csv", {}) if row.request is not None]
    assert prompts == [tmp_path / "idea.mid", Path("/music/idea.mid")]


def test_a_row_that_is_no_request_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("seed,temperature\n1,hot\n2,\n")
    first, second = read_requests(tmp_path / "t.csv", {})
    assert first.request is None
    assert first.error.startswith("temperature = 'hot': Input should be a valid number")
    assert second == RequestRow(2, PieceRequest(seed=2))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "stlye\nbach\n", r"no field of a request for the column of .*t\.csv, 'stlye'; nearest of \d+: style"),
        ("t.csv", "style\n", "has no rows"),
        ("t.csv", "", "is no table of requests"),
        ("t.parquet", "PAR", "is no table of requests"),
        ("t.json", "3", "JSON must be a list of objects, or an object of lists"),
        ("t.json", "[", "is no table of requests"),
        ("t.txt", "style", r"its name must end in \.csv, \.parquet, \.json"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        read_requests(tmp_path / name, {})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"t\.csv cannot be read: No such file"):
        read_requests(tmp_path / "t.csv", {})
