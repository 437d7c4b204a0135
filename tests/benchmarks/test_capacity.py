"""The tables of docs/capacity.md are those that the script computes, and its constants those that the page names."""

from __future__ import annotations

from pathlib import Path

import pytest
from capacity import Constants, collections, count, hours, networks, volume

PAGE = (Path(__file__).parents[2] / "docs" / "capacity.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("computed", [collections, networks])
def test_a_table_is_the_computed_one(computed) -> None:  # type: ignore[no-untyped-def]
    assert computed(Constants()) in PAGE


def test_what_a_collection_costs_is_the_sum_of_its_files() -> None:
    of = Constants(
        source_bytes=1000,
        manifest_bytes=1,
        shard_bytes=2,
        originality_bytes=3,
        tokens=10,
        ingestion_seconds=0.01,
        startup_seconds=0,
        growth_seconds=0.5,
        partition_files=100,
    )
    smallest = [cell.strip() for cell in collections(of).splitlines()[2].strip("|").split("|")]
    files, midi, _, version, manifest, tokens, first, grown, partitions, _, get, put = smallest
    assert (files, midi, version, manifest, tokens) == ("10,000", "10 MB", "60 kB", "10 kB", "100,000")
    assert (first, grown, partitions) == ("100 s", "50 s", "100")
    assert (get, put) == ("10,000", "710"), (
        "a file and a part each; a part, six files of shards, and six for the version"
    )


def test_what_a_network_costs() -> None:
    of = Constants(
        checkpoint_bytes=10,
        kept_checkpoints=2,
        model_bytes=4,
        tokens_per_parameter=2,
        step_tokens=1e6,
        metric_rows=10,
        event_bytes=100,
        tokens=1000,
        gpu_flops=1e14,
    )
    first = [cell.strip() for cell in networks(of).splitlines()[2].strip("|").split("|")]
    assert first == ["0.1 B", "1 GB", "2.4 GB", "200 M", "200,000", "200", "2,000", "20 kB", "0.33"]


def test_numbers_are_read_at_a_glance() -> None:
    assert [count(n) for n in (7, 1234, 2.54e9, 1.5e14)] == ["7", "1,200", "2.5 G", "150 T"]
    assert [volume(n) for n in (96.7, 10_383, 6.15e11)] == ["97 B", "10 kB", "615 GB"]
    assert [hours(s) for s in (34, 2410, 236_000)] == ["34 s", "40 min", "66 h"]
