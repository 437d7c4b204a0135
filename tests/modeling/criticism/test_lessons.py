"""Lessons: pairs of a real window and one that is not, of one piece, under one header."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from modeling.criticism import Generated, Lessons, Window
from modeling.criticism.lessons import LEARNED, changed, damaged, splice
from modeling.data import Split
from tokenization import damages
from tokenization.dataset.shards import ShardError
from tokenization.encodings import HEADER

WINDOW = 48


def generated(split: Split) -> list[Generated]:
    """Pieces in the places of others: the last one's music under the header of the one before."""
    place, music = split.pieces[-2], split.pieces[-1]
    tokens = np.concatenate([place[: HEADER + 20], music[HEADER + 20 : HEADER + 60]])
    return [Generated(len(split.pieces) - 2, tokens, 10, HEADER + 20, len(place))]


def test_pairs_alternate_and_share_style_and_instruments(split: Split) -> None:
    lessons = Lessons(split, generated(split), WINDOW, damaged=0.5)
    windows = lessons.draw(20, np.random.default_rng(0))
    assert [window.is_real for window in windows] == [True, False] * 20
    apart = [not np.array_equal(a.tokens[:2], b.tokens[:2]) for a, b in zip(windows[::2], windows[1::2])]
    assert sum(apart) < 5, "other headers are one way among many of not being real"


def test_the_same_numbers_draw_the_same_windows(split: Split) -> None:
    first, second = (Lessons(split, generated(split), WINDOW, 0.5).draw(6, np.random.default_rng(3)) for _ in range(2))
    assert [w.tokens.tolist() for w in first] == [w.tokens.tolist() for w in second]


def test_without_generations_there_are_damaged_pieces_alone(split: Split) -> None:
    windows = Lessons(split, [], WINDOW, damaged=0.0).draw(4, np.random.default_rng(0))
    assert all(window.judged_from == 0 for window in windows)


def test_all_damages_are_met(split: Split) -> None:
    assert len({damage.__name__ for damage, _ in LEARNED}) == len(LEARNED)
    kinds = Lessons(split, [], WINDOW, 1.0).draw(60, np.random.default_rng(1))
    pairs = zip(kinds[::2], kinds[1::2])
    assert sum(not np.array_equal(real.tokens, bad.tokens) for real, bad in pairs) > 50


def test_a_damage_that_changes_nothing_is_none(split: Split) -> None:
    window, random = Window(split.pieces[-1], 0, len(split.pieces[-1])), np.random.default_rng(0)
    assert damaged(window, lambda notes, _: notes, split.encoding, random) is None
    same = changed(window, lambda notes, _: notes, split.encoding, random)
    assert same is not None and same.tokens.tolist() == window.tokens.tolist()


def test_music_for_another_instrument_has_the_header_of_that(split: Split) -> None:
    window = Window(split.pieces[-1], 0, len(split.pieces[-1]))
    for seed in range(20):
        found = damaged(window, damages.instrument_swapped, split.encoding, np.random.default_rng(seed))
        if found is not None:
            assert found.tokens[0] == window.tokens[0]
            assert found.tokens[1] == split.encoding.encode(split.encoding.decode(found.tokens))[1]
            return
    raise AssertionError("no instrument of this vocabulary is another than the piece's")


def test_of_a_shorter_piece_the_window_is_at_the_same_place(split: Split) -> None:
    piece = split.pieces[-1]
    window = Window(piece, (len(piece) - HEADER) // 2, len(piece))
    found = changed(
        window, lambda notes, _: notes.taken(np.arange(0, len(notes), 2)), split.encoding, np.random.default_rng(0)
    )
    assert found is not None
    assert found.start == pytest.approx((len(found.tokens) - HEADER) / 2, abs=1)


def test_behind_a_generated_middle_the_piece_goes_on(split: Split) -> None:
    (made,) = generated(split)
    real = split.pieces[made.piece]
    window = splice(made, real, split.encoding)
    assert window is not None
    assert not window.is_real
    until = split.encoding.decode(made.tokens).onset.max()
    joined, whole = split.encoding.decode(window.tokens), split.encoding.decode(real)
    assert sorted(joined.pitch[joined.onset > until + 0.05].tolist()) == sorted(
        whole.pitch[whole.onset > until + 0.05].tolist()
    )


def test_generations_are_varied_where_their_real_pieces_are(split: Split) -> None:
    """Else a rare key would be a sign of real music."""
    made = generated(split)
    windows = Lessons(split, made, WINDOW, damaged=0.0).draw(60, np.random.default_rng(4))
    sources = {tuple(made[0].tokens.tolist()), tuple(split.pieces[made[0].piece].tolist())}
    is_varied = [tuple(window.tokens.tolist()) not in sources for window in windows]
    plain = [not (real or other) for real, other in zip(is_varied[::2], is_varied[1::2])]
    both = [real and other for real, other in zip(is_varied[::2], is_varied[1::2])]
    assert sum(both) > 15
    assert sum(plain) > 5
    assert not any(real and not other for real, other in zip(is_varied[::2], is_varied[1::2]))
    planned = made[0].length - len(made[0].tokens)
    assert {window.length - len(window.tokens) for window in windows if not window.is_real} <= {planned, 0}
    assert any(
        window.length - len(window.tokens) == planned for window in windows if tuple(window.tokens) not in sources
    )


def test_shorter_windows_lie_anywhere_in_a_generation(split: Split) -> None:
    """The generation's own window has 50 tokens behind body token 10."""
    windows = Lessons(split, generated(split), 24, damaged=0.0).draw(60, np.random.default_rng(2))
    made = [window for window in windows if not window.is_real and len(window.tokens) == HEADER + 60]
    starts = {window.start for window in made}
    assert min(starts) >= 10 and max(starts) <= HEADER + 60 - 24
    assert len(starts) > 10
    assert {window.judged_from for window in made} == {HEADER + 20}


def test_pieces_without_notes_teach_nothing(split: Split) -> None:
    short = replace(split, pieces=split.pieces[:2], piece_ids=split.piece_ids[:2], styles=split.styles[:2])
    few = Lessons(short, [], 4, 1.0)
    with pytest.raises(ShardError, match="fewer than 16 notes"):
        few.draw(200, np.random.default_rng(0))
