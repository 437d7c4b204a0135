"""Batches: a pure function of sizes, seed and number, that loses no token, on any number of ranks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import settings
from numpy.typing import NDArray

from modeling.data import Loader, Split, collate
from modeling.data.sampler import VARIANT_STREAM
from modeling.network.batch import Batch
from modeling.network.loss import IGNORED
from tokenization.augmentation import AugmentationSchedule, vary
from tokenization.dataset.shards import ShardError
from tokenization.encodings import HEADER
from tokenization.encodings.combined import Combined
from tokenization.encodings.effects import NOTE
from tokenization.encodings.texture import WORD, texture
from tokenization.vocabulary import PITCHES, Tokens

QUICK = settings(max_examples=25, deadline=None)

FEATURES = ("time", "chord", "part", "countdown")


def tensors(batch: Batch) -> list[torch.Tensor]:
    """Return the fields of a batch that are set."""
    return [x for x in batch if x is not None]


def equal(first: tuple[Batch, torch.Tensor], second: tuple[Batch, torch.Tensor]) -> bool:
    pairs = list(zip([*tensors(first[0]), first[1]], [*tensors(second[0]), second[1]], strict=True))
    return all(torch.equal(x, y) for x, y in pairs)


def joined(shares: list[tuple[Batch, torch.Tensor]]) -> tuple[Batch, torch.Tensor]:
    """Concatenate the shares of all ranks."""
    fields = zip(*(tensors(batch) for batch, _ in shares), strict=True)
    return Batch(*(torch.cat(field) for field in fields)), torch.cat([targets for _, targets in shares])


@pytest.fixture(scope="module")
def numbered(split: Split) -> Split:
    """Pieces of ascending ids, each id once, so that a target identifies its token."""
    bodies = np.split(np.arange(1000), [30, 130, 131, 300, 700])
    pieces = [np.concatenate([[1060, 1061, 1062, 1063], body]).astype(np.uint16) for body in bodies]
    return replace(split, pieces=pieces, piece_ids=[""] * 6, styles=[None] * 6)


class TestLoader:
    def test_a_batch_is_the_same_whenever_it_is_asked_for(self, split: Split) -> None:
        loader = Loader(split, 32, 4, seed=3, style_dropout=0.5)
        straight = [loader.batch(number) for number in range(2 * loader.batches_per_epoch + 1)]
        for number in (0, len(straight) - 1, 1, loader.batches_per_epoch):
            assert equal(loader.batch(number), straight[number])
            assert equal(Loader(split, 32, 4, seed=3, style_dropout=0.5).batch(number), straight[number])

    @pytest.mark.parametrize("pack", [False, True])
    def test_texture_is_that_of_the_whole_piece(self, pack: bool, split: Split) -> None:
        batch, targets = Loader(split, 32, 8, pack=pack, texture=True).batch(1)
        pieces = {tokens.tobytes(): texture(tokens, split.encoding) for tokens in split.pieces}
        plain = Loader(split, 32, 8, pack=pack).batch(1)
        assert batch.texture is not None
        assert equal((batch._replace(texture=None), targets), plain)
        documents = torch.zeros_like(batch.tokens) if batch.document is None else batch.document
        for row in range(8):
            for document in documents[row].unique():
                where = (documents[row] == document) & (batch.tokens[row] != split.vocabulary.pad)
                body = batch.tokens[row, where].numpy()[HEADER:].astype(np.uint16)
                found = batch.texture[row, where].numpy()[HEADER:]
                candidates = [
                    whole[at // 2 : at // 2 + len(body)]
                    for piece, whole in pieces.items()
                    if (at := piece.find(body.tobytes())) >= 0
                ]
                assert any(np.array_equal(found, whole) for whole in candidates)

    @pytest.mark.parametrize("schedule", [{"transpose": 6, "final_transpose": 6}, {"stretch": 0.2}], ids=str)
    def test_texture_is_that_of_the_variants(self, schedule: dict[str, float], split: Split) -> None:
        augmentation = AugmentationSchedule.model_validate(schedule)
        batch, _ = Loader(split, 32, 8, augmentation=augmentation, texture=True).batch(0)
        assert batch.texture is not None
        is_note = split.encoding.effects.table.kind[batch.tokens.numpy()] == NOTE
        pitch = batch.tokens.numpy()[is_note] % PITCHES
        words = batch.texture.numpy()[is_note]
        assert len(pitch) > 50
        assert (words[np.arange(len(pitch)), pitch // WORD] >> pitch % WORD & 1).all(), "each note that starts sounds"

    def test_epochs_and_seeds_differ(self, split: Split) -> None:
        loader = Loader(split, 32, 4)
        assert not equal(loader.batch(0), loader.batch(loader.batches_per_epoch))
        assert not equal(loader.batch(0), Loader(split, 32, 4, seed=1).batch(0))

    @pytest.mark.parametrize("ranks", [2, 4])
    def test_any_number_of_ranks_shares_the_same_global_batches(self, ranks: int, split: Split) -> None:
        loader = Loader(split, 32, 8, style_dropout=0.5)
        for number in (0, 1, loader.batches_per_epoch + 1):
            whole = loader.batch(number)
            shares = [Loader(split, 32, 8, style_dropout=0.5).batch(number, rank, ranks) for rank in range(ranks)]
            assert {len(targets) for _, targets in shares} == {8 // ranks}
            assert equal(joined(shares), whole)

    @pytest.mark.parametrize("batch_size", [1, 4, 7])
    def test_every_body_token_is_a_target_in_an_epoch(self, batch_size: int, numbered: Split) -> None:
        loader = Loader(numbered, 32, batch_size)
        for epoch in range(3):
            numbers = range(epoch * loader.batches_per_epoch, (epoch + 1) * loader.batches_per_epoch)
            targets = torch.cat([loader.batch(number)[1].flatten() for number in numbers])
            assert targets[targets != IGNORED].unique().tolist() == list(range(1000))

    def test_a_batch_larger_than_the_split_repeats_it(self, split: Split) -> None:
        small = Split(split.pieces[:1], split.piece_ids[:1], split.styles[:1], split.encoding)
        batch, _ = Loader(small, 64, 8).batch(5)
        assert batch.tokens.unique(dim=0).shape == (1, 64)

    def test_memory_is_used_again_and_batches_that_are_held_stay(self, split: Split) -> None:
        loader, again = (Loader(split, 32, 4, pack=True) for _ in range(2))
        held = [loader.batch(number) for number in range(0, 10, 3)]
        places = set()
        for number in range(10):
            _, targets = loader.batch(number)
            places.add(targets.untyped_storage().data_ptr())
        assert len(places) <= 2, "that of the batch before, and this one's"
        assert all(equal(batch, again.batch(number)) for batch, number in zip(held, range(0, 10, 3), strict=True))

    def test_a_split_without_pieces_is_refused(self, encoding: Combined) -> None:
        with pytest.raises(ShardError, match="no piece"):
            Loader(Split([], [], [], encoding), 32, 4)


class TestStyleDropout:
    @staticmethod
    def first_tokens(split: Split, rate: float, batches: int = 100) -> NDArray[np.int32]:
        styled = [i for i, style in enumerate(split.styles) if style]
        known = Split(
            *([column[i] for i in styled] for column in (split.pieces, split.piece_ids, split.styles)), split.encoding
        )
        loader = Loader(known, 32, 16, style_dropout=rate)
        return torch.cat([loader.batch(number)[0].tokens[:, 0] for number in range(batches)]).numpy()

    @pytest.mark.parametrize("rate", [0.1, 0.5])
    def test_styles_are_hidden_at_the_asked_rate(self, rate: float, split: Split) -> None:
        hidden = self.first_tokens(split, rate) == split.vocabulary.no_style
        # 1600 draws: five standard deviations
        assert hidden.mean() == pytest.approx(rate, abs=5 * (rate * (1 - rate) / 1600) ** 0.5)

    def test_none_or_all(self, split: Split) -> None:
        vocabulary = split.vocabulary
        assert set(self.first_tokens(split, 0.0, 10)) == {vocabulary.style_id("bach"), vocabulary.style_id("jazz")}
        assert set(self.first_tokens(split, 1.0, 10)) == {vocabulary.no_style}

    def test_nothing_but_the_style_changes(self, split: Split) -> None:
        shown, targets = Loader(split, 32, 8).batch(3)
        hidden, same_targets = Loader(split, 32, 8, style_dropout=1.0).batch(3)
        assert torch.equal(shown.tokens[:, 1:], hidden.tokens[:, 1:])
        assert all(torch.equal(getattr(shown, name), getattr(hidden, name)) for name in FEATURES)
        assert torch.equal(targets, same_targets)

    def test_the_pieces_in_memory_stay_as_they_are(self, split: Split) -> None:
        before = [piece.copy() for piece in split.pieces]
        Loader(split, 32, 8, style_dropout=1.0).batch(0)
        assert all(np.array_equal(x, y) for x, y in zip(before, split.pieces))


class TestInstrumentDropout:
    def test_it_hides_the_instrumentation_and_nothing_else(self, split: Split) -> None:
        shown, targets = Loader(split, 32, 8).batch(3)
        hidden, same_targets = Loader(split, 32, 8, instrument_dropout=1.0).batch(3)
        assert hidden.tokens[:, 1].tolist() == [split.vocabulary.no_instrumentation] * 8
        others = [0, *range(2, 32)]
        assert torch.equal(shown.tokens[:, others], hidden.tokens[:, others])
        assert all(torch.equal(getattr(shown, name), getattr(hidden, name)) for name in FEATURES)
        assert torch.equal(targets, same_targets)

    def test_it_is_drawn_on_its_own(self, split: Split) -> None:
        loader = Loader(split, 32, 16, style_dropout=0.5, instrument_dropout=0.3)
        header = torch.cat([loader.batch(number)[0].tokens[:, :2] for number in range(100)])
        no_style, no_instruments = header[:, 0] == split.vocabulary.no_style, header[:, 1] > split.vocabulary.no_style
        # 1600 draws, five standard deviations; pieces without a style count as hidden
        rate = float(no_instruments.float().mean())
        assert rate == pytest.approx(0.3, abs=0.058)
        both = float((no_style & no_instruments).float().mean())
        assert both == pytest.approx(rate * float(no_style.float().mean()), abs=0.058)


class TestAugmentation:
    UP_TO_FIVE = AugmentationSchedule(transpose=5, final_transpose=0, anneal_from=0.5, velocity=40)

    def loader(self, split: Split, schedule: AugmentationSchedule, steps: int = 100) -> Loader:
        return Loader(split, 32, 8, augmentation=schedule, steps=steps, texture=True)

    def test_windows_are_variants_of_the_pieces_windows(self, split: Split) -> None:
        plain, targets = Loader(split, 32, 8).batch(3)
        varied, varied_targets = self.loader(split, self.UP_TO_FIVE).batch(3)
        assert not torch.equal(varied.tokens, plain.tokens)
        for name in FEATURES:
            assert torch.equal(getattr(varied, name), getattr(plain, name)), "neither pitch nor velocity changes those"
        assert torch.equal(varied_targets == IGNORED, targets == IGNORED)
        notes = plain.tokens < split.vocabulary.note_end
        moved = (varied.tokens - plain.tokens) % 128
        for row in range(8):
            pitched = notes[row] & (plain.tokens[row] < split.vocabulary.first_rows[-1] * 128)
            assert len(set(moved[row][pitched].tolist())) <= 1, "one transposition for all of a window"
            assert torch.equal(varied.tokens[row][~notes[row]], plain.tokens[row][~notes[row]])

    def test_transposition_becomes_less_and_ends(self, split: Split) -> None:
        schedule = AugmentationSchedule(transpose=5)
        loader = self.loader(split, schedule, steps=1000)
        first, last = Loader(split, 32, 8).batch(0)[0], Loader(split, 32, 8).batch(1000)[0]
        assert not torch.equal(loader.batch(0)[0].tokens, first.tokens)
        assert torch.equal(loader.batch(1000)[0].tokens, last.tokens)

    def test_the_same_batch_whenever_and_wherever(self, split: Split) -> None:
        schedule = AugmentationSchedule(transpose=5, velocity=20, stretch=0.1)
        whole = self.loader(split, schedule).batch(7)
        assert equal(self.loader(split, schedule).batch(7), whole)
        shares = [self.loader(split, schedule).batch(7, rank, 2) for rank in range(2)]
        assert equal(joined(shares), whole)

    def test_windows_are_those_of_the_varied_pieces(self, split: Split) -> None:
        schedule = AugmentationSchedule(transpose=5, velocity=20)
        loader = self.loader(split, schedule)
        plain = Loader(split, 32, 8)
        for number in range(2 * loader.batches_per_epoch):
            rows = plain._rows(number // loader.batches_per_epoch)
            first = number % loader.batches_per_epoch * 8
            chosen = np.arange(first, first + 8) % len(rows)
            uniform = np.random.default_rng([0, number, VARIANT_STREAM]).random(8)
            varied = [
                vary(split.pieces[rows.windows.piece[row]], 0, schedule.at(number / 100), split.encoding, chance)[0]
                for row, chance in zip(chosen, uniform)
            ]
            expected = collate(varied, rows.windows.start[chosen].tolist(), 32, split.encoding)
            assert equal(loader.batch(number), expected)

    def test_stretched_windows_hold_other_waits(self, split: Split) -> None:
        stretched = self.loader(split, AugmentationSchedule(stretch=0.3)).batch(2)[0]
        plain = Loader(split, 32, 8).batch(2)[0]
        assert torch.equal(stretched.tokens[:, :3], plain.tokens[:, :3])
        assert not torch.equal(stretched.time, plain.time)

    def test_without_a_schedule_nothing_is_varied(self, split: Split) -> None:
        assert equal(self.loader(split, AugmentationSchedule()).batch(4), Loader(split, 32, 8, texture=True).batch(4))


class TestPacking:
    """Rows of several windows, each of which is laid out as if it were alone."""

    def test_every_token_is_a_target_once_in_an_epoch(self, numbered: Split) -> None:
        loader = Loader(numbered, 64, 1, pack=True)
        for epoch in range(4):
            numbers = range(epoch * loader.batches_per_epoch, (epoch + 1) * loader.batches_per_epoch)
            targets = torch.cat([loader.batch(number)[1].flatten() for number in numbers])
            assert targets[targets != IGNORED].sort().values.tolist() == list(range(1000))

    def test_documents_are_windows_of_their_pieces(self, split: Split) -> None:
        loader = Loader(split, 128, 2, pack=True)
        seen = 0
        for number in range(loader.batches_per_epoch):
            batch, targets = loader.batch(number)
            assert batch.document is not None
            for row in range(2):
                documents = batch.document[row]
                assert documents[0] == 0
                assert set(documents.diff().tolist()) <= {0, 1}, "numbered from 0, one after the other"
                for document in range(int(documents[-1]) + 1):
                    where = documents == document
                    tokens, wanted = batch.tokens[row, where], targets[row, where]
                    wanted = wanted[: int((wanted != IGNORED).nonzero()[-1]) + 1]
                    whole = [*tokens[:HEADER].tolist(), *wanted[HEADER - 1 :].tolist()]
                    assert wanted[: HEADER - 1].tolist() == [IGNORED] * (HEADER - 1)
                    assert tokens[HEADER : len(wanted)].tolist() == wanted[HEADER - 1 : -1].tolist()
                    self.assert_window(split, whole, {n: getattr(batch, n)[row, where] for n in FEATURES})
                    seen += 1
        assert seen >= len(split.pieces)

    @staticmethod
    def assert_window(split: Split, whole: list[int], found: dict[str, torch.Tensor]) -> None:
        """Assert that tokens are a header and a contiguous part of a body, with their features in that piece."""
        inputs = len(whole) - 1
        for piece in split.pieces:
            if piece[:HEADER].tolist() != whole[:HEADER]:
                continue
            marks = split.encoding.features(piece)
            for start in range(len(piece) - len(whole) + 1):
                where = [*range(HEADER), *range(HEADER + start, start + inputs)]
                expected = {name: getattr(marks, name)[where].tolist() for name in FEATURES}
                if piece[HEADER + start : start + len(whole)].tolist() == whole[HEADER:] and all(
                    found[name][:inputs].tolist() == expected[name] for name in FEATURES
                ):
                    return
        pytest.fail("no piece has this window")

    def test_a_long_piece_alone_is_as_without_packing(self, split: Split) -> None:
        last = replace(split, pieces=[split.pieces[-1][:67]], piece_ids=["x"], styles=[None])
        (packed, targets), (alone, same) = (Loader(last, 66, 1, pack=pack).batch(0) for pack in (True, False))
        assert all(torch.equal(x, y) for x, y in zip(tensors(packed)[:-1], tensors(alone), strict=True))
        assert torch.equal(targets, same)

    def test_dropout_is_drawn_for_each_document(self, split: Split) -> None:
        loader = Loader(split, 256, 2, style_dropout=0.5, instrument_dropout=0.5, pack=True)
        begins, styles, instruments = 0, 0, 0
        for number in range(40 * loader.batches_per_epoch):
            batch, _ = loader.batch(number)
            assert batch.document is not None
            first = torch.nn.functional.pad(batch.document.diff(), (1, 0), value=1) == 1
            begins += int(first.sum())
            styles += int((batch.tokens[first] == split.vocabulary.no_style).sum())
            instruments += int((batch.tokens == split.vocabulary.no_instrumentation).sum())
            assert not bool((batch.tokens[~first] == split.vocabulary.no_style).any())
        assert instruments / begins == pytest.approx(0.5, abs=0.1)
        assert styles / begins == pytest.approx(0.5 + 0.5 / 3, abs=0.1)  # a third of the pieces has no style

    def test_any_number_of_ranks_shares_the_same_global_batches(self, split: Split) -> None:
        def loader() -> Loader:
            schedule = AugmentationSchedule(transpose=5, velocity=20)
            return Loader(
                split, 128, 4, style_dropout=0.3, instrument_dropout=0.3, augmentation=schedule, steps=9, pack=True
            )

        for number in (0, 1, loader().batches_per_epoch + 1):
            shares = [loader().batch(number, rank, 4) for rank in range(4)]
            assert equal(joined(shares), loader().batch(number))

    def test_what_a_stretch_makes_longer_is_cut_and_what_it_makes_shorter_is_padded(self, split: Split) -> None:
        loader = Loader(split, 128, 4, augmentation=AugmentationSchedule(stretch=0.3), pack=True)
        plain = Loader(split, 128, 4, pack=True)
        for number in range(loader.batches_per_epoch):
            stretched, targets = loader.batch(number)
            assert stretched.document is not None
            assert stretched.document.tolist() == tensors(plain.batch(number)[0])[-1].tolist()
            empty = stretched.tokens == split.vocabulary.pad
            assert bool((targets[empty] == IGNORED).all())

    def test_there_are_fewer_rows_than_without(self, split: Split) -> None:
        packed, alone = (Loader(split, 256, 1, pack=pack).rows_per_epoch for pack in (True, False))
        assert alone == len(split.pieces)
        assert packed <= -(-sum(len(piece) - 1 for piece in split.pieces) // 256) + 1


class TestLongContexts:
    @pytest.mark.parametrize("context", [16384, 32768])
    def test_windows_from_anywhere_have_the_features_of_the_whole_piece(
        self, context: int, make_piece: Callable[..., Tokens], split: Split
    ) -> None:
        pieces = [make_piece(20_000), make_piece(200, 1)]
        long = Split(pieces, ["a", "b"], ["bach", "bach"], split.encoding)
        loader = Loader(long, context, 1)
        marks = split.encoding.features(pieces[0])
        assert len(pieces[0]) > 50_000
        starts = set()
        for number in range(2 * loader.batches_per_epoch):
            batch, targets = loader.batch(number)
            rows = loader._rows(number // loader.batches_per_epoch)
            window = number % loader.batches_per_epoch
            if rows.windows.piece[window] == 0:
                start = int(rows.windows.start[window])
                where = [*range(HEADER), *range(HEADER + start, start + context)]
                for name in FEATURES:
                    assert getattr(batch, name)[0].tolist() == getattr(marks, name)[where].tolist()
                assert targets[0, HEADER - 1 :].tolist() == pieces[0][HEADER + start : start + context + 1].tolist()
                starts.add(start)
        assert max(starts) + context + 1 == len(pieces[0])
        assert len(starts) > 1
