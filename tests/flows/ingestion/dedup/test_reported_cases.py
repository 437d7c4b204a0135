"""Kinds of music that families were reported to be wrong about, from generators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
import pytest

from flows.ingestion.dedup.families import Families, find_families
from flows.ingestion.dedup.index import build_index
from flows.ingestion.dedup.links import Relation, Rules, measure
from flows.ingestion.dedup.sketches import Sketches
from flows.ingestion.dedup.splits import SplitShares, assign_splits
from tokenization.midi.notes import Notes

RULES = Rules(related=1.7, duplicate=0.7)
SketchAll = Callable[[Sequence[Notes]], Sketches]
Find = Callable[[Sequence[Notes]], Families]


@pytest.fixture
def find(sketch_all: SketchAll) -> Find:
    return lambda pieces: find_families(sketch_all(pieces), np.arange(len(pieces)), RULES)


def pairs_found(found: Families, count: int) -> int:
    """Count the pieces whose partner, `count` places later, is in their family."""
    return int((found.best[:count] == found.best[count:]).sum())


class TestFound:
    def test_two_transcriptions_of_a_recording_and_no_two_recordings(self, find: Find, music: Any) -> None:
        """Between the two of each a tenth of the notes lost, 8 % of ghosts, onsets some 10 ms apart."""
        recordings = [music.recording(seed) for seed in range(20)]
        pieces = [
            music.transcription(notes, 2 * i + k, 0.05, 0.04) for k in (0, 1) for i, notes in enumerate(recordings)
        ]
        found = find(pieces)
        assert pairs_found(found, 20) == 20
        assert len(np.unique(found.best)) == 20
        assert found.kept.tolist() == list(range(40)), "a transcription was dropped"
        names = [f"{i:064x}" for i in range(40)]
        manifest = pl.DataFrame(
            {"sha256": names, "family": [names[best] for best in found.best], "style": [None] * 40},
            schema_overrides={"style": pl.String},
        )
        splits = dict(assign_splits(manifest, SplitShares(validation=0.2, test=0.2)).iter_rows())
        assert sorted(splits) == names[:20]
        assert len(set(splits.values())) == 3

    @pytest.mark.parametrize("kind", ["song", "recording"])
    def test_a_fifth_of_a_piece(self, find: Find, music: Any, kind: str) -> None:
        pieces = [getattr(music, kind)(seed) for seed in range(20)]
        found = find(pieces + [music.excerpt(notes, 0.04 * i, 0.04 * i + 0.2) for i, notes in enumerate(pieces)])
        assert pairs_found(found, 20) >= 19
        assert len(np.unique(found.best)) <= 21
        assert (found.kept == np.arange(40)).all()

    @pytest.mark.parametrize("low", [40, 75])
    def test_a_melody_with_chords_and_without(self, find: Find, music: Any, low: int) -> None:
        melodies = [music.melody(seed) for seed in range(20)]
        arranged = [music.joined(notes, music.chords(i, notes.onset[-1], low)) for i, notes in enumerate(melodies)]
        found = find(arranged + [music.moved(notes, i % 7 - 3, 0.9) for i, notes in enumerate(melodies)])
        assert pairs_found(found, 20) >= 18
        assert len(np.unique(found.best)) <= 22


class TestNotLinked:
    def test_chord_progressions_by_one_template(self, find: Find, music: Any, sketch_all: SketchAll) -> None:
        pieces = [music.progression(seed) for seed in range(40)]
        found = find(pieces)
        dropped = np.flatnonzero(found.kept != np.arange(40))
        assert len(dropped) <= 2
        sketches = sketch_all(pieces)
        verified = measure(sketches, build_index(sketches), dropped, found.kept[dropped], RULES)
        assert set(verified["relation"]) <= {int(Relation.DUPLICATE)}
        assert len(np.unique(found.best)) >= 36

    def test_songs_with_one_bass_pattern_and_one_drum_loop(self, find: Find, music: Any) -> None:
        accompaniment = [music.bass_pattern(60.0), music.drum_loop(60.0)]
        pieces = [music.joined(music.melody(seed), *accompaniment) for seed in range(30)]
        assert len(np.unique(find(pieces).best)) == 30

    def test_songs_and_their_bass_pattern_alone(self, find: Find, music: Any) -> None:
        pieces = [music.joined(music.melody(seed), music.bass_pattern(60.0)) for seed in range(10)]
        found = find([*pieces, music.bass_pattern(60.0), music.drum_loop(60.0)])
        assert len(np.unique(found.best)) == 12

    def test_pieces_full_of_scales(self, find: Find, music: Any) -> None:
        """Half of their notes are runs through the scales of a few keys."""
        assert len(np.unique(find([music.runs(seed) for seed in range(40)]).best)) == 40
