"""Archives: generations come back as they were, of this run and vocabulary alone; older ones get rarer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from modeling.archive import Archive, ArchiveError, Generation
from modeling.archive.files import HALF_LIFE, kept
from modeling.data import Split
from tokenization.dataset import TokenFormat


def generation(split: Split, step: int, candidate: int) -> Generation:
    return Generation(
        piece_id=split.piece_ids[-1],
        family="a family",
        style="bach",
        instrumentation="piano",
        tokens=split.pieces[-1][:40],
        start=3,
        prompt=12,
        length=len(split.pieces[-1]),
        step=step,
        temperature=0.9,
        top_p=0.98,
        time_temperature=1.5,
        pitch_temperature=1.0,
        tonality=0.5,
        repetition=1.5,
        repeats=3,
        stay=2.0,
        stay_seconds=4.0,
        recall=1.5,
        section_bars=8,
        returns=0.3,
        seed=2**31 - 1,
        candidate=candidate,
    )


@pytest.fixture
def archive(split: Split, tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive", "0123456789ab", TokenFormat.of(split.encoding))


def test_generations_come_back_as_they_were(archive: Archive, split: Split) -> None:
    made = [generation(split, 100, candidate) for candidate in range(3)]
    assert not archive.has("round0")
    archive.write("round0", made)
    found = archive.read("round0")
    assert [each.tokens.tolist() for each in found] == [each.tokens.tolist() for each in made]
    nothing = np.zeros(0, np.uint16)
    assert [replace(each, tokens=nothing).__dict__.keys() for each in found] == [each.__dict__.keys() for each in made]
    assert [(e.step, e.seed, e.candidate, e.temperature) for e in found] == [(100, 2**31 - 1, n, 0.9) for n in range(3)]
    table = pl.read_parquet(archive.path("round0"))
    assert {"piece_id", "tokens", "step", "temperature", "top_p", "prompt", "seed", "family"} <= set(table.columns)


def test_another_run_is_refused(archive: Archive, split: Split) -> None:
    archive.write("round0", [generation(split, 100, 0)])
    other = replace(archive, run_id="ffffffffffff")
    with pytest.raises(ArchiveError, match=r"has generations of run 0123456789ab, not of ffffffffffff.*remove"):
        other.read("round0")


def test_another_vocabulary_is_refused(archive: Archive, split: Split) -> None:
    archive.write("round0", [generation(split, 100, 0)])
    other = replace(archive, token_format=replace(archive.token_format, vocabulary="f" * 64))
    with pytest.raises(ArchiveError, match=r"was written with vocabulary .*not ffffffffffff.*remove"):
        other.read("round0")


def test_what_it_holds_at_a_step_is_of_that_step_or_before(archive: Archive, split: Split) -> None:
    for step in (10, 20, 30):
        archive.write(archive.name_of(step), [generation(split, step, n) for n in range(4)])
    assert archive.steps(20) == [10, 20]
    assert {each.step for each in archive.at(20, 100)} == {10, 20}


def test_of_too_many_the_older_ones_are_thinned_for_good(split: Split) -> None:
    files = [(step, [generation(split, step, n) for n in range(10)]) for step in range(0, 600, 10)]
    held: dict[int, set[tuple[int, int]]] = {}
    for until in (20, 40, 60):
        held[until] = {(g.step, g.candidate) for g in kept(files[:until], 100)}
        assert len(held[until]) == 100
    newest = {(g.step, g.candidate) for _, generations in files[20:40] for g in generations}
    assert held[40] <= held[20] | newest, "what was left out stays out"
    recent = sum(step >= 600 - 10 * HALF_LIFE for step, _ in held[60])
    oldest = sum(step < 10 * HALF_LIFE for step, _ in held[60])
    assert recent > 2 * oldest


def test_files_of_which_nothing_is_held_are_removed(archive: Archive, split: Split) -> None:
    for step in range(10, 110, 10):
        archive.write(archive.name_of(step), [generation(split, step, n) for n in range(2)])
    before = [(e.step, e.candidate) for e in archive.at(100, 3)]
    archive.thin(100, 3)
    assert len(archive.steps(100)) <= 3
    assert [(e.step, e.candidate) for e in archive.at(100, 3)] == before
