"""Parameters of sampling: one request for each piece, with a seed of its own."""

from __future__ import annotations

from pathlib import Path

from flows.sampling.parameters import SampleParameters


def test_each_piece_has_its_own_seed() -> None:
    parameters = SampleParameters(seed=40, count=2, style="bach", guidance=2.5)
    requests = parameters.requests(parameters.request)
    assert [request.seed for request in requests] == [40, 41]
    assert {(request.style, request.guidance) for request in requests} == {("bach", 2.5)}


def test_files_go_into_the_lake_or_where_the_user_says(tmp_path: Path) -> None:
    assert SampleParameters(lake=str(tmp_path)).folder == tmp_path / "samples"
    assert SampleParameters(lake=str(tmp_path), out=Path("songs")).folder == Path("songs")
