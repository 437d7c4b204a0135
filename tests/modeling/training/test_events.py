"""Reports: one JSON object a line, by rank 0 alone, also behind a line that a killed process left torn."""

from __future__ import annotations

import json
from pathlib import Path

from modeling.training.events import Reporter


def test_rank_0_appends_one_object_a_line(tmp_path: Path) -> None:
    for step in (1, 2):
        Reporter(tmp_path, rank=0)("step", step=step, loss=0.5)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["event"], line["step"], line["loss"]) for line in lines] == [("step", 1, 0.5), ("step", 2, 0.5)]
    assert all(line["time"] > 0 for line in lines)


def test_other_ranks_are_silent(tmp_path: Path) -> None:
    Reporter(tmp_path, rank=1)("step", step=1)
    assert list(tmp_path.iterdir()) == []


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"event": "step", "st')
    Reporter(tmp_path, rank=0)("start", step=0)
    first, second = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert first == '{"event": "step", "st'
    assert json.loads(second)["event"] == "start"
