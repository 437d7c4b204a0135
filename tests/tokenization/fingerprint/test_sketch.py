"""Sketches, held against all features of a voice, listed in plain Python."""

from __future__ import annotations

import math
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.fingerprint.sketch import BEGINS, FACTORS, mixed, sketch

Feature = tuple[int, int, int, int]
MASK = 0xFFFFFFFF


def features(pitch: list[int]) -> dict[Feature, tuple[int, int]]:
    """All features of a voice, with the first and the last place of each one's first, shortest occurrence."""
    found: dict[Feature, tuple[int, int]] = {}
    for first in range(len(pitch)):
        occurrences = []
        for gaps in product((1, 2), repeat=4):
            places = [first, *(first + sum(gaps[: i + 1]) for i in range(4))]
            if places[-1] < len(pitch):
                intervals = tuple(pitch[b] - pitch[a] for a, b in pairwise(places))
                occurrences.append((places[-1], intervals))
        for last, intervals in sorted(occurrences):
            found.setdefault(intervals, (first, last))  # type: ignore[arg-type]
    return found


def hash_of(feature: Feature, kind: int = 1) -> int:
    total = kind * int(FACTORS[6]) + sum(step * int(FACTORS[i + 1]) for i, step in enumerate(feature))
    x = total & MASK
    x = (x ^ x >> 16) * 0x85EBCA6B & MASK
    x = (x ^ x >> 13) * 0xC2B2AE35 & MASK
    return x ^ x >> 16


def sketched(
    pitch: list[int], onset: list[float] | None = None, size: int = 64, kind: int = 1
) -> tuple[list[dict[str, int]], bool]:
    """The fields of a sketch's entries; without onsets each note is a second after the one before."""
    onsets = np.arange(len(pitch), dtype=np.float64) if onset is None else np.array(onset)
    unit = max(float(onsets[-1]) / BEGINS if len(onsets) else 0.0, 1e-6)
    entries, complete = sketch(onsets, np.array(pitch, np.uint8), size, kind, unit)
    fields = [
        {"hash": e >> 32, "begin": e >> 16 & 0xFFFF, "duration": e >> 7 & 0x1FF, "pitch": e & 127}
        for e in map(int, entries)
    ]
    return fields, complete


def hashes(pitch: list[int], size: int = 64, kind: int = 1) -> list[int]:
    return [entry["hash"] for entry in sketched(pitch, size=size, kind=kind)[0]]


pitches = st.one_of(
    st.lists(st.integers(0, 127), max_size=60),
    st.lists(st.sampled_from([60, 62, 64]), max_size=300),
)


class TestSketch:
    @given(pitch=pitches, size=st.sampled_from([1, 7, 64, 10_000]))
    def test_holds_the_features_of_the_smallest_hashes(self, pitch: list[int], size: int) -> None:
        everything = sorted(hash_of(feature) for feature in features(pitch))
        found, complete = sketched(pitch, size=size)
        assert [entry["hash"] for entry in found] == everything[:size]
        assert complete == (len(everything) <= size)

    def test_a_voice_that_repeats_itself_is_searched_to_its_end(self) -> None:
        """Thousands of occurrences of few features, one feature more at the very end."""
        pitch = [60, 62] * 2000 + [71]
        found, complete = sketched(pitch)
        assert [entry["hash"] for entry in found] == sorted(map(hash_of, features(pitch)))
        assert complete

    def test_each_entry_says_where_its_feature_begins_how_long_and_how_high(self) -> None:
        generator = np.random.default_rng(0)
        pitch = generator.integers(40, 90, 50).tolist()
        onset = np.cumsum(generator.choice([0.1, 0.25, 1.0], 50)).tolist()
        places = {hash_of(feature): place for feature, place in features(pitch).items()}
        for entry in sketched(pitch, onset)[0]:
            first, last = places[entry["hash"]]
            seconds = onset[last] - onset[first]
            assert entry["begin"] == round(onset[first] / onset[-1] * BEGINS)
            assert entry["duration"] == pytest.approx(16 * math.log2(seconds * 128), abs=0.501)
            assert entry["pitch"] == pitch[first]

    def test_of_a_feature_that_occurs_again_the_first_place_counts(self) -> None:
        phrase = [60, 67, 64, 72, 59]
        (once,) = [e for e in sketched(phrase)[0] if e["hash"] == hash_of((7, -3, 8, -13))]
        (again,) = [e for e in sketched(phrase * 9, size=9999)[0] if e["hash"] == once["hash"]]
        assert once["begin"] == again["begin"] == 0

    def test_is_exactly_what_five_notes_are(self) -> None:
        (entry,), complete = sketched([60, 62, 64, 65, 67], [0, 1, 2, 3, 4.0])
        assert entry == {"hash": hash_of((2, 2, 1, 2)), "begin": 0, "duration": 16 * 9, "pitch": 60}
        assert complete

    @pytest.mark.parametrize("notes", [0, 1, 4])
    def test_fewer_notes_than_a_feature_has_give_none(self, notes: int) -> None:
        assert sketched([60, 62, 64, 65][:notes]) == ([], True)

    def test_one_left_out_is_allowed_two_are_not(self) -> None:
        plain = [60, 62, 64, 65, 67]
        assert hash_of((2, 2, 1, 2)) in hashes([60, 62, 64, 90, 65, 67])
        assert hash_of((2, 2, 1, 2)) in hashes([60, 91, 62, 92, 64, 90, 65, 93, 67])
        assert hash_of((2, 2, 1, 2)) not in hashes([60, 62, 64, 90, 91, 65, 67])
        assert hash_of((2, 2, 1, 2)) in hashes(plain)


class TestInvariance:
    @given(st.lists(st.integers(30, 90), min_size=5, max_size=60), st.integers(-30, 30))
    def test_transposition_changes_pitches_alone(self, pitch: list[int], by: int) -> None:
        before, after = sketched(pitch)[0], sketched([key + by for key in pitch])[0]
        assert after == [{**entry, "pitch": entry["pitch"] + by} for entry in before]

    @given(st.lists(st.integers(0, 127), min_size=5, max_size=60), st.floats(0.1, 10))
    def test_tempo_changes_durations_alone(self, pitch: list[int], stretch: float) -> None:
        before = sketched(pitch)[0]
        after = sketched(pitch, [i * stretch for i in range(len(pitch))])[0]
        for one, other in zip(before, after, strict=True):
            assert (one["hash"], one["pitch"]) == (other["hash"], other["pitch"])
            assert abs(one["begin"] - other["begin"]) <= 1
            assert other["duration"] - one["duration"] == pytest.approx(16 * math.log2(stretch), abs=1.01)

    def test_kinds_of_voices_have_nothing_in_common(self) -> None:
        pitch = np.random.default_rng(0).integers(35, 50, 200).tolist()
        assert not set(hashes(pitch, kind=1)) & set(hashes(pitch, kind=2))


class TestSample:
    def test_two_sketches_hold_the_same_features_below_the_lower_limit(self) -> None:
        """A voice and the same with another one behind it: what is in both and small enough is in both sketches."""
        generator = np.random.default_rng(0)
        common, more = generator.integers(40, 90, 200).tolist(), generator.integers(40, 90, 200).tolist()
        one, other = hashes(common), hashes(common + more)
        limit = min(one[-1], other[-1])
        small = {hash_of(feature) for feature in features(common)}
        assert {h for h in one if h <= limit} == {h for h in other if h <= limit and h in small}


class TestMixed:
    def test_is_the_finaliser_of_murmur_hash(self) -> None:
        assert [int(mixed(np.uint32(x))) for x in (0, 1, 0xFFFFFFFF)] == [0, 0x514E28B7, 0x81F16F39]

    def test_gives_no_two_numbers_one_hash(self) -> None:
        assert len({int(mixed(np.uint32(x))) for x in range(0, 2**32, 2**21 + 7)}) == len(range(0, 2**32, 2**21 + 7))
