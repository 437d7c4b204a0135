"""Windows: parts of pieces, laid where they are wanted, with the features of the whole pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenization.dataset.windows import MARK_EVERY, UNMARKED, Inputs, Parts, lay_out, marks, side_by_side, windows
from tokenization.encodings.structure import CHORD, COUNTDOWN, PARTS, TokenEffects, features
from tokenization.vocabulary import PITCHES, Tokens, Vocabulary

NAMES = ("time", "chord", "part", "countdown")
HEADER, IGNORED = 4, -100


@pytest.fixture(scope="module")
def effects(vocabulary: Vocabulary) -> TokenEffects:
    return TokenEffects.of(vocabulary)


class TestWindows:
    @given(data=st.data())
    def test_windows_are_parts_of_whole_pieces(
        self, data: st.DataObject, vocabulary: Vocabulary, effects: TokenEffects
    ) -> None:
        ids = st.lists(st.integers(0, vocabulary.size - 1), min_size=1, max_size=90)
        pieces = [np.array(piece, np.uint16) for piece in data.draw(st.lists(ids, min_size=1, max_size=3))]
        starts = [data.draw(st.integers(0, len(piece))) for piece in pieces]
        lengths = [len(piece) + data.draw(st.integers(0, 50)) for piece in pieces]
        size = data.draw(st.integers(4, 64))
        found = windows(pieces, starts, lengths, 4, size, effects, vocabulary.pad)
        for index, (tokens, start, length) in enumerate(zip(pieces, starts, lengths)):
            whole = features(tokens, effects, length)
            where = [*range(min(4, len(tokens))), *range(4 + start, len(tokens))][:size]
            columns = [tokens, *(getattr(whole, name) for name in NAMES)]
            for number, column in enumerate(columns):
                filler = [vocabulary.pad if number == 0 else 0] * (size - len(where))
                assert found[number][index].tolist() == [*column[where].tolist(), *filler]

    @pytest.mark.parametrize("size", [5, 127, 128, 129, 1000, 65537, 2**20 + 7])
    def test_parts_of_a_piece_begin_where_they_do_in_the_whole(
        self, size: int, vocabulary: Vocabulary, effects: TokenEffects
    ) -> None:
        piece = np.full(size, vocabulary.pad, np.uint16)
        for length in (size, size - 3, 3 * size + 1):
            found = windows([piece], [0], [length], HEADER, size, effects, vocabulary.pad)
            assert np.array_equal(found.part[0], features(piece, effects, length).part)

    def test_none_at_all(self, vocabulary: Vocabulary, effects: TokenEffects) -> None:
        found = windows([], [], [], 4, 10, effects, vocabulary.pad)
        assert [column.shape for column in found] == [(0, 10)] * len(Inputs._fields)

    def test_every_feature_fits_its_numbers(self) -> None:
        room = Inputs.empty(1, 1)
        for column, values in ((room.chord, CHORD), (room.part, PARTS), (room.countdown, COUNTDOWN)):
            assert np.iinfo(column.dtype).max >= values - 1


def long_piece(vocabulary: Vocabulary, size: int, seed: int) -> Tokens:
    return np.random.default_rng(seed).integers(0, vocabulary.size, size).astype(np.uint16)


class TestMarks:
    @given(sizes=st.lists(st.integers(0, 700), min_size=1, max_size=4), cut=st.integers(0, 4))
    def test_windows_are_the_same_with_and_without_them(
        self, sizes: list[int], cut: int, vocabulary: Vocabulary, effects: TokenEffects
    ) -> None:
        pieces = [long_piece(vocabulary, size, seed) for seed, size in enumerate(sizes)]
        starts = [max(size - 20, 0) * 2 // 3 for size in sizes]
        tokens, parts = side_by_side(pieces, starts, sizes)
        parts = parts._replace(until=np.full(len(pieces), 30), body=np.full(len(pieces), 30))
        offsets = np.concatenate([[0], parts.stop])
        # in two stretches, as a reader of shards finds them
        at = min(cut, len(pieces))
        middle = int(offsets[at])
        found = np.concatenate(
            [
                marks(tokens[:middle], offsets[: at + 1], 0, effects),
                marks(tokens[middle:], offsets[at:] - middle, middle, effects),
            ]
        )
        assert len(found) == -(-len(tokens) // MARK_EVERY)
        with_marks, without = (Inputs.empty(len(pieces), 30) for _ in range(2))
        lay_out(tokens, found, parts, HEADER, effects, vocabulary.pad, with_marks)
        lay_out(tokens, UNMARKED, parts, HEADER, effects, vocabulary.pad, without)
        assert [column.tolist() for column in with_marks] == [column.tolist() for column in without]

    def test_they_are_used(self, vocabulary: Vocabulary, effects: TokenEffects) -> None:
        # A mark of another time is believed: the tokens before it are not read.
        tokens, parts = side_by_side([np.full(3 * MARK_EVERY, vocabulary.wait_base + 1, np.uint16)], [600], [800])
        out = Inputs.empty(1, 8)
        parts = parts._replace(until=np.array([8]), body=np.array([8]))
        lay_out(tokens, np.full(3, 1000 << 5), parts, HEADER, effects, vocabulary.pad, out)
        assert out.time[0].tolist() == [1, 2, 3, 4, *(1000 + 604 - 2 * MARK_EVERY + i for i in range(1, 5))]


class TestLayOut:
    @pytest.mark.parametrize("numbers", [np.int16, np.int32])
    def test_two_parts_in_a_row_by_hand(
        self, numbers: type[np.integer], vocabulary: Vocabulary, effects: TokenEffects
    ) -> None:
        first = vocabulary.from_text("bach piano start tempo120 piano:v72:C4 wait:12 piano:v0:C4 end")
        second = vocabulary.from_text("jazz piano start tempo120 wait:2 piano:v72:E4 wait:5 piano:v0:E4 end")
        tokens = np.concatenate([first, second])
        parts = Parts(
            row=np.array([0, 0]),
            at=np.array([0, 7]),
            until=np.array([7, 15]),
            first=np.array([0, 8]),
            stop=np.array([8, 17]),
            length=np.array([8, 9]),
            start=np.array([0, 2]),
            body=np.array([4, 2]),
            document=np.array([0, 1]),
        )
        inputs, targets = Inputs.empty(1, 15), np.empty((1, 15), np.int32)
        documents = np.empty((1, 15), numbers)
        pad = vocabulary.pad
        lay_out(tokens, UNMARKED, parts, HEADER, effects, pad, inputs, targets, IGNORED, documents)
        assert inputs.tokens[0].tolist() == [*first[:7], *second[:4], *second[6:8], pad, pad]
        assert targets[0].tolist() == [*[IGNORED] * 3, *first[4:], *[IGNORED] * 3, *second[6:8], *[IGNORED] * 3]
        assert inputs.time[0].tolist() == [0, 0, 0, 0, 0, 12, 12, 0, 0, 0, 0, 7, 7, 0, 0]
        assert inputs.chord[0].tolist() == [0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0]
        assert inputs.countdown[0].tolist() == [7, 6, 5, 4, 3, 2, 1, 8, 7, 6, 5, 2, 1, 0, 0]
        assert documents[0].tolist() == [0] * 7 + [1] * 8

    def test_notes_move_by_their_rows(self, vocabulary: Vocabulary, effects: TokenEffects) -> None:
        piece = vocabulary.from_text("bach piano start tempo120 piano:v72:C4 wait:12 piano:v0:C4 drums:v80:C2 end")
        tokens, parts = side_by_side([piece], [0], [len(piece)])
        parts = parts._replace(until=np.array([8]), body=np.array([5]))
        rows = len(vocabulary.row_velocity)
        changes = np.zeros((1, rows + 1), np.int32)
        changes[0, piece[4] // PITCHES] = PITCHES + 3  # a row louder, three semitones up
        changes[0, piece[6] // PITCHES] = 3
        inputs, targets = Inputs.empty(1, 8), np.empty((1, 8), np.int32)
        lay_out(tokens, UNMARKED, parts, HEADER, effects, vocabulary.pad, inputs, targets, IGNORED, changes=changes)
        moved = [*piece[:4].tolist(), int(piece[4]) + PITCHES + 3, int(piece[5]), int(piece[6]) + 3, int(piece[7])]
        assert inputs.tokens[0].tolist() == moved
        assert targets[0].tolist() == [IGNORED] * 3 + [*moved[4:], vocabulary.end]

    @pytest.mark.parametrize("size", [0, 1, 3, 4, 5])
    def test_pieces_of_next_to_nothing(self, size: int, vocabulary: Vocabulary, effects: TokenEffects) -> None:
        piece = np.arange(size).astype(np.uint16)
        tokens, parts = side_by_side([piece], [2], [size])
        parts = parts._replace(until=np.array([6]), body=np.array([6]))
        inputs, targets = Inputs.empty(1, 6), np.empty((1, 6), np.int32)
        lay_out(tokens, UNMARKED, parts, HEADER, effects, vocabulary.pad, inputs, targets, IGNORED)
        assert inputs.tokens[0].tolist() == [*range(min(size, 4)), *[vocabulary.pad] * (6 - min(size, 4))]
        assert targets[0].tolist() == [IGNORED] * 6
