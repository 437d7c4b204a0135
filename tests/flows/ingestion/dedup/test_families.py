"""Families: planted ones are found whole, strangers stay apart, and the order of pieces does not matter."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flows.ingestion.dedup.families import DEFAULT_THRESHOLD, WINDOW, Families, find_families
from tokenization.fingerprint import SIZE, VALUES, similarity, values

Rows = NDArray[np.uint32]


def strangers(n: int, seed: int = 0) -> Rows:
    return np.random.default_rng(seed).integers(0, 2**32, (n, SIZE), dtype=np.uint32)


def relatives(origin: Rows, n: int, share: float, seed: int = 0) -> Rows:
    """n fingerprints that each keep a share of the values of one, whichever."""
    generator = np.random.default_rng(seed)
    kept = np.argsort(generator.random((n, VALUES)), axis=1) < share * VALUES
    return np.where(kept, values(origin), values(strangers(n, seed + 1000))).view(np.uint32)


def groups(found: Families) -> set[frozenset[int]]:
    """The families of more than one, as sets of indices."""
    return {
        frozenset(np.flatnonzero(found.label == label).tolist())
        for label in np.unique(found.label)
        if (found.label == label).sum() > 1
    }


class TestFamilies:
    def test_of_three_alike_and_two_equal_among_strangers(self) -> None:
        rows = strangers(12)
        rows[[3, 7]] = relatives(rows[5], 2, 0.6)
        rows[10] = rows[2]
        found = find_families(rows)
        assert found.label.tolist() == [0, 1, 2, 3, 4, 3, 6, 3, 8, 9, 2, 11]
        assert groups(found) == {frozenset({3, 5, 7}), frozenset({2, 10})}

    def test_links_are_verified_pairs_that_span_the_families(self) -> None:
        rows = np.concatenate([strangers(20), relatives(strangers(1, 5)[0], 30, 0.8)])
        found = find_families(rows)
        assert len(found.left) == 29  # one fewer than the family has members
        assert (found.left < found.right).all()
        assert (found.label[found.left] == found.label[found.right]).all()
        assert found.similarity == pytest.approx(similarity(rows[found.left], rows[found.right]))
        assert found.similarity.min() >= DEFAULT_THRESHOLD
        assert set(found.left.tolist()) | set(found.right.tolist()) == set(range(20, 50))

    def test_a_family_holds_over_others(self) -> None:
        """The first and the last of a chain have nothing in common."""
        chain = [strangers(1)[0]]
        for seed in range(8):
            chain.append(relatives(chain[-1], 1, 0.5, seed)[0])
        assert similarity(chain[0], chain[-1]) < 0.1
        assert groups(find_families(np.stack(chain))) == {frozenset(range(9))}

    @pytest.mark.parametrize(("share", "together"), [(0.5, True), (0.4, False)])
    def test_the_threshold_decides(self, share: float, together: bool) -> None:
        rows = np.concatenate([strangers(1), relatives(strangers(1)[0], 1, share)])
        assert (groups(find_families(rows, 0.45)) != set()) is together

    def test_a_link_of_just_the_threshold_counts(self) -> None:
        rows = np.concatenate([strangers(1), relatives(strangers(1)[0], 1, 0.5)])
        exactly = float(similarity(rows[0], rows[1]))
        assert groups(find_families(rows, exactly))
        assert not groups(find_families(rows, exactly + 0.001))

    def test_weak_relatives_are_found_at_the_default(self) -> None:
        """A thousand pairs little above the threshold: at most a few share no word."""
        origins = strangers(1000)
        rows = np.concatenate([origins, *(relatives(row, 1, 0.28, seed) for seed, row in enumerate(origins))])
        found = find_families(rows)
        assert np.mean(found.label[1000:] == np.arange(1000)) > 0.99

    @settings(deadline=None, max_examples=20)
    @given(seed=st.integers(0, 10_000))
    def test_the_order_of_pieces_does_not_matter(self, seed: int) -> None:
        generator = np.random.default_rng(seed)
        origins = strangers(30, seed)
        rows = np.concatenate([origins, *(relatives(row, 3, 0.55, seed + i) for i, row in enumerate(origins[:10]))])
        rows = np.concatenate([rows, rows[:5]])
        order = generator.permutation(len(rows))
        renamed = {frozenset(int(order[i]) for i in family) for family in groups(find_families(rows[order]))}
        assert renamed == groups(find_families(rows))

    def test_labels_are_the_smallest_index(self) -> None:
        rows = np.concatenate([strangers(5), relatives(strangers(1)[0], 5, 0.7)])
        label = find_families(rows).label
        for value in np.unique(label):
            assert value == np.flatnonzero(label == value).min()


class TestManyAlike:
    def test_a_hundred_thousand_equal_cost_little(self) -> None:
        rows = np.repeat(strangers(1), 100_000, axis=0)
        rows[::1000] = strangers(100, 1)
        find_families(rows[:10])
        start = time.perf_counter()
        found = find_families(rows)
        assert time.perf_counter() - start < 5
        assert len(np.unique(found.label)) == 101

    def test_a_phrase_that_all_share_hides_no_family(self) -> None:
        """In an eighth of the words all pieces are in one bucket, far larger than the window; pairs stand far from
        each other in it."""
        pairs = 20 * WINDOW
        origins = strangers(pairs)
        rows = np.concatenate([origins, *(relatives(row, 1, 0.7, seed) for seed, row in enumerate(origins))])
        rows[:, : SIZE // 8] = 7
        assert similarity(rows[0], rows[1]) < DEFAULT_THRESHOLD
        found = find_families(rows)
        assert groups(found) == {frozenset({i, i + pairs}) for i in range(pairs)}

    def test_a_large_family_of_unequal_members_is_whole(self) -> None:
        rows = np.concatenate([relatives(strangers(1)[0], 3000, 0.6), strangers(500, 2)])
        assert groups(find_families(rows)) == {frozenset(range(3000))}


class TestEdges:
    @pytest.mark.parametrize("n", [0, 1])
    def test_few_pieces(self, n: int) -> None:
        found = find_families(strangers(n))
        assert found.label.tolist() == list(range(n))
        assert len(found.left) == len(found.right) == len(found.similarity) == 0

    def test_other_shapes_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"shape \(n, 128\), not \(3, 64\)"):
            find_families(np.zeros((3, 64), np.uint32))

    @pytest.mark.parametrize("threshold", [0.0, 1.5, -1.0])
    def test_thresholds_out_of_range_are_refused(self, threshold: float) -> None:
        with pytest.raises(ValueError, match="more than 0 and at most 1"):
            find_families(strangers(2), threshold)
