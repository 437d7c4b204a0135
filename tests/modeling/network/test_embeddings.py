"""Embeddings: a sum of tables and waves, and what each of them sees."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from modeling.config import STRUCTURE, HeaderIds, ModelConfig
from modeling.network.batch import NO_LABEL, Batch
from modeling.network.embeddings import (
    LONGEST_PERIOD,
    MOST_VOICES,
    SHORTEST_PERIOD,
    TIME_PERIODS,
    Embeddings,
    TokenTable,
    time_waves,
)
from tokenization.encodings.echo import ECHO_BITS
from tokenization.encodings.texture import COUNT_BITS, ECHO, FIELDS, HARMONY, WORD

WIDTH, CONTEXT = 16, 24


def normal(module: nn.Module) -> None:
    for parameter in module.parameters():
        nn.init.normal_(parameter)


def make_embeddings(**changes: object) -> Embeddings:
    """For 2000 ids, the first 1024 of them notes."""
    torch.manual_seed(0)
    shape = {"layers": 1, "heads": 1, "d_model": WIDTH, "context": CONTEXT}
    sizes = {"vocabulary_size": 2000, "note_tokens": 1024}
    embeddings = Embeddings(ModelConfig.model_validate({**shape, **sizes, **changes}))
    for module in (embeddings.token, embeddings.style, embeddings.instrumentation):
        if module is not None:
            normal(module)
    return embeddings


@pytest.fixture
def embeddings() -> Embeddings:
    return make_embeddings()


def embed(embeddings: Embeddings, batch: Batch, first_position: int = 0) -> torch.Tensor:
    out: torch.Tensor = embeddings(
        batch, embeddings.token(), batch.positions(first_position), batch.labels(batch.positions())
    )
    return out


def one(token: int = 0, time: int = 0, chord: int = 0, part: int = 0, countdown: int = 0) -> Batch:
    return Batch(*(torch.tensor([[value]]) for value in (token, time, chord, part, countdown)))


class TestTokenTable:
    def test_a_note_is_the_sum_of_its_own_its_row_and_its_pitch(self) -> None:
        torch.manual_seed(0)
        table = TokenTable(400, 3 * 128, WIDTH)
        normal(table)
        assert (tuple(table.row.shape), tuple(table.pitch.shape)) == ((3, WIDTH), (128, WIDTH))
        found = table()
        assert found.shape == (400, WIDTH)
        for token in range(400):
            row, pitch = divmod(token, 128)
            own = table.own[token]
            torch.testing.assert_close(found[token], own + table.row[row] + table.pitch[pitch] if row < 3 else own)

    def test_what_a_note_learns_its_row_and_its_pitch_know(self) -> None:
        table = TokenTable(400, 3 * 128, WIDTH)
        normal(table)
        before = table().detach()
        table()[128 + 60].sum().backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for parameter in table.parameters():
                parameter -= 0.1 * parameter.grad
        moved = (table() - before)[:, 0].detach()
        expected = torch.zeros(400)
        expected[128:256] -= 0.1
        expected[60 : 3 * 128 : 128] -= 0.1
        expected[128 + 60] -= 0.1
        torch.testing.assert_close(moved, expected, rtol=0, atol=1e-5)

    def test_without_notes_every_token_is_its_own(self) -> None:
        table = TokenTable(400, 0, WIDTH)
        assert table().data_ptr() == table.own.data_ptr()
        assert sum(parameter.numel() for parameter in table.parameters()) == 400 * WIDTH


class TestTexture:
    @pytest.fixture
    def listening(self) -> Embeddings:
        embeddings = make_embeddings(structure=("sounding", "harmony"), positions="rotary")
        normal(embeddings)
        return embeddings

    @staticmethod
    def heard(sounding: list[tuple[int, int]], short: dict[int, int], long: dict[int, int]) -> Batch:
        """A token with a texture: age and pitch of what sounds, and counts of pitch classes."""
        words = [0] * FIELDS
        for age, pitch in sounding:
            words[2 * age + pitch // WORD] |= 1 << pitch % WORD
        for word, counts in zip(range(HARMONY.start, HARMONY.stop), (short, long)):
            words[word] = sum(count << COUNT_BITS * pitch_class for pitch_class, count in counts.items())
        unsigned = torch.from_numpy(np.array(words, np.uint64).view(np.int64))
        return one(7)._replace(texture=unsigned[None, None])

    def test_it_is_a_row_for_each_pitch_by_its_age_and_one_for_their_number(self, listening: Embeddings) -> None:
        rows, voices = listening.sounding.weight, listening.sounding.voices
        found = embed(listening, self.heard([(0, 60), (0, 127), (2, 60), (3, 63)], {}, {}))[0, 0]
        expected = rows[60] + rows[127] + rows[2 * 128 + 60] + rows[3 * 128 + 63] + voices[4]
        torch.testing.assert_close(found, listening.token()[7] + expected)

    def test_many_voices_are_told_apart_up_to_a_number(self, listening: Embeddings) -> None:
        found = embed(listening, self.heard([(1, pitch) for pitch in range(128)], {}, {}))[0, 0]
        expected = listening.sounding.weight[128:256].sum(0) + listening.sounding.voices[MOST_VOICES]
        torch.testing.assert_close(found, listening.token()[7] + expected)

    def test_harmony_is_each_pitch_class_by_its_share(self, listening: Embeddings) -> None:
        rows = listening.harmony.weight
        found = embed(listening, self.heard([], {0: 6, 11: 2}, {7: 31}))[0, 0]
        expected = rows[0] * 6 / 8 + rows[11] * 2 / 8 + rows[12 + 7] * 31 / 32 + listening.sounding.voices[0]
        torch.testing.assert_close(found, listening.token()[7] + expected)

    def test_an_echo_is_a_projection_of_its_token_and_a_row_for_what_was_the_same(self) -> None:
        embeddings = make_embeddings(structure=("echo",), positions="rotary")
        normal(embeddings)
        batch = self.heard([], {}, {})
        expected = embeddings.token()[7] + embeddings.echo.same[0]
        torch.testing.assert_close(embed(embeddings, batch)[0, 0], expected)
        batch.texture[0, 0, ECHO] = 9 << ECHO_BITS | 2
        expected = embeddings.token()[7] + embeddings.echo.projection.weight @ embeddings.token()[9]
        torch.testing.assert_close(embed(embeddings, batch)[0, 0], expected + embeddings.echo.same[2])

    def test_a_batch_without_it_is_refused(self, listening: Embeddings) -> None:
        with pytest.raises(ValueError, match="needs the texture"):
            embed(listening, one(7))


class TestSum:
    @pytest.mark.parametrize(("token", "row", "pitch"), [(7, 0, 7), (1000, 7, 104), (1500, None, None)])
    def test_it_is_token_position_time_and_structure(
        self, token: int, row: int | None, pitch: int | None, embeddings: Embeddings
    ) -> None:
        own = embeddings.token.own[token]
        expected = (
            (own if row is None else own + embeddings.token.row[row] + embeddings.token.pitch[pitch])
            + embeddings.position.weight[3]
            + embeddings.chord.weight[2]
            + embeddings.part.weight[100]
            + embeddings.countdown.weight[9]
            + embeddings.time.weight @ time_waves(torch.tensor(480))
        )
        found = embed(embeddings, one(token, 480, 2, 100, 9), first_position=3)
        torch.testing.assert_close(found[0, 0], expected)

    @pytest.mark.parametrize("change", [{"token": 1}, {"time": 1}, {"chord": 1}, {"part": 1}, {"countdown": 1}])
    def test_every_field_is_heard(self, embeddings: Embeddings, change: dict[str, int]) -> None:
        assert not torch.allclose(embed(embeddings, one(**change)), embed(embeddings, one()))

    def test_a_window_seen_in_pieces_is_the_window(
        self, embeddings: Embeddings, make_batch: Callable[..., Batch]
    ) -> None:
        batch = make_batch(2, CONTEXT)
        whole = embed(embeddings, batch)
        assert whole.shape == (2, CONTEXT, WIDTH)
        for position in range(CONTEXT):
            single = Batch(*(x[:, position : position + 1] for x in batch[:5]))
            torch.testing.assert_close(embed(embeddings, single, position), whole[:, position : position + 1])


HEADER = HeaderIds(style_base=100, styles=3, instrumentation_base=200, groups=4)


class TestLabels:
    """Style and instrumentation at every position."""

    def labelled(self) -> Embeddings:
        return make_embeddings(structure=("style", "instrumentation"), positions="rotary", header=HEADER)

    def test_they_are_those_of_the_first_two_tokens(self) -> None:
        embeddings = self.labelled()
        assert embeddings.style is not None
        assert embeddings.instrumentation is not None
        with torch.no_grad():
            embeddings.token.own.zero_()
        tokens = torch.tensor([[101, 200 + 0b101, 1100, 1100]])
        found = embed(embeddings, Batch(tokens, *torch.zeros(4, 1, 4, dtype=torch.long)))
        groups = embeddings.instrumentation.weight
        expected = embeddings.style.weight[1] + groups[0] + groups[2]
        torch.testing.assert_close(found[0, 2:], expected.expand(2, WIDTH) + embeddings.token()[1100])

    @pytest.mark.parametrize("ids", [(99, 200), (103, 216), (1999, 0), (NO_LABEL, NO_LABEL)])
    def test_other_ids_are_labels_that_are_not_given(self, ids: tuple[int, int]) -> None:
        embeddings = self.labelled()
        assert embeddings.style is not None
        assert embeddings.instrumentation is not None
        style, instrumentation = torch.tensor(ids)
        torch.testing.assert_close(embeddings.style(style), embeddings.style.weight[3])
        torch.testing.assert_close(embeddings.instrumentation(instrumentation), embeddings.instrumentation.weight[4])

    def test_each_document_has_its_own(self) -> None:
        tokens = torch.tensor([[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]])
        document = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 2]])
        batch = Batch(*[tokens] * 5, document)
        style, instrumentation = batch.labels(batch.positions()).tolist()
        assert style == [[1, 1, 1, 4, 4, 4], [1, 1, 3, 3, 3, 6]]
        assert instrumentation == [[2, 2, 2, 5, 5, 5], [2, 2, 4, 4, 4, NO_LABEL]]


class TestMetre:
    def test_it_is_the_place_in_the_beat_and_the_beat_of_twelve(self) -> None:
        embeddings = make_embeddings(structure=("metre",), ticks_per_beat=48)
        ticks, beats = embeddings.beat, embeddings.bar
        assert ticks is not None
        assert beats is not None
        silent = embed(embeddings, one())[0, 0] - ticks.weight[0] - beats.weight[0]
        found = embed(embeddings, one(time=48 * 14 + 5))[0, 0]
        torch.testing.assert_close(found, silent + ticks.weight[5] + beats.weight[2])


class TestVariants:
    @pytest.mark.parametrize("kept", [(), ("time",), ("chord", "part"), ("countdown",)])
    def test_only_the_chosen_structure_is_heard(self, kept: tuple[str, ...]) -> None:
        embeddings = make_embeddings(structure=kept)
        for field in STRUCTURE:
            heard = not torch.equal(embed(embeddings, one(**{field: 1})), embed(embeddings, one()))
            assert heard is (field in kept)
            assert (getattr(embeddings, field) is not None) is (field in kept)

    def test_rotary_positions_are_not_added(self) -> None:
        embeddings = make_embeddings(positions="rotary")
        assert embeddings.position is None
        assert torch.equal(embed(embeddings, one(7), 3), embed(embeddings, one(7), 0))

    @pytest.mark.parametrize("narrow", [torch.int32, torch.uint8])
    def test_integers_of_any_size_are_the_same(
        self, embeddings: Embeddings, make_batch: Callable[..., Batch], narrow: torch.dtype
    ) -> None:
        batch = make_batch(2, CONTEXT)
        features = (x.to(narrow) for x in (batch.chord, batch.part, batch.countdown))
        short = Batch(batch.tokens.int(), batch.time.int(), *features)
        assert torch.equal(embed(embeddings, short), embed(embeddings, batch))


class TestTimeWaves:
    """Sines and cosines, scaled so that all together are about as large as an entry of a table."""

    def test_at_the_start_sines_are_0_and_cosines_are_highest(self) -> None:
        waves = time_waves(torch.tensor(0))
        assert waves.tolist() == [0.0] * TIME_PERIODS + [1 / TIME_PERIODS] * TIME_PERIODS

    def test_a_step_of_an_optimiser_moves_them_about_as_far_as_a_table(self) -> None:
        loudness = time_waves(torch.randint(0, 100_000, (1000,))).abs().sum(-1)
        assert bool((loudness > 0.9).all()) and bool((loudness < 1.6).all())

    def test_periods_go_from_the_shortest_to_the_longest(self) -> None:
        short = time_waves(torch.tensor(int(SHORTEST_PERIOD))) * TIME_PERIODS
        long = time_waves(torch.tensor(int(LONGEST_PERIOD))) * TIME_PERIODS
        assert float(short[0]) == pytest.approx(0, abs=1e-6)
        assert float(short[TIME_PERIODS]) == pytest.approx(1)
        assert float(long[TIME_PERIODS - 1]) == pytest.approx(0, abs=1e-4)
        # a quarter and a half of the longest period
        quarter = time_waves(torch.tensor([int(LONGEST_PERIOD) // 4, int(LONGEST_PERIOD) // 2])) * TIME_PERIODS
        assert quarter[:, TIME_PERIODS - 1].tolist() == pytest.approx([1, 0], abs=1e-4)
        assert quarter[:, -1].tolist() == pytest.approx([0, -1], abs=1e-4)

    def test_neighbouring_ticks_differ_also_late_in_a_long_piece(self) -> None:
        late = time_waves(torch.arange(100_000, 100_050))
        distances = torch.cdist(late, late) + 10 * torch.eye(50)
        assert float(distances.min()) > 0.1 / TIME_PERIODS

    def test_waves_are_made_in_32_bits_whatever_the_model_s_type(self, embeddings: Embeddings) -> None:
        assert time_waves(torch.tensor([5])).dtype == torch.float32
        batch = one(time=100_001)
        full = embed(embeddings, batch)
        half = embed(embeddings.bfloat16(), batch)
        assert half.dtype == torch.bfloat16
        torch.testing.assert_close(half.float(), full, rtol=0.05, atol=0.1)


class TestBatch:
    def test_a_slice_keeps_the_first_positions_of_every_field(self, make_batch: Callable[..., Batch]) -> None:
        batch = make_batch(2, 10)
        cut = batch.slice(4)
        assert {tuple(x.shape) for x in cut[:5]} == {(2, 4)}
        assert all(torch.equal(x, y[:, :4]) for x, y in zip(cut[:5], batch[:5]))
        assert cut.document is None

    def test_rows_are_some_of_the_windows(self, make_batch: Callable[..., Batch]) -> None:
        batch = make_batch(4, 10)
        chosen = batch.rows(slice(1, 3))
        assert all(torch.equal(x, y[1:3]) for x, y in zip(chosen[:5], batch[:5]))
        assert chosen.document is None

    def test_it_moves_as_a_whole(self, make_batch: Callable[..., Batch]) -> None:
        moved = make_batch(1, 3).to(torch.device("meta"))
        assert {x.device.type for x in moved[:5]} == {"meta"}
        assert moved.document is None

    def test_documents_are_cut_chosen_and_moved_too(self, make_batch: Callable[..., Batch]) -> None:
        batch = make_batch(3, 4)._replace(document=torch.tensor([[0, 0, 1, 1], [0, 1, 2, 3], [5, 5, 5, 5]]))
        assert batch.slice(3).document.tolist() == [[0, 0, 1], [0, 1, 2], [5, 5, 5]]
        assert batch.rows(slice(1, 2)).document.tolist() == [[0, 1, 2, 3]]
        assert batch.to(torch.device("meta")).document.device.type == "meta"

    def test_documents_of_16_bits_have_32_where_they_are_compared(self, make_batch: Callable[..., Batch]) -> None:
        batch = make_batch(1, 3)._replace(document=torch.tensor([[0, 1, 300]], dtype=torch.int16))
        moved = batch.to(torch.device("cpu")).document
        assert (moved.dtype, moved.tolist()) == (torch.int32, [[0, 1, 300]])


class TestPositions:
    def test_they_count_from_the_first(self) -> None:
        assert one().positions(7).tolist() == [7]

    def test_they_begin_anew_in_every_document(self) -> None:
        document = torch.tensor([[0, 0, 0, 1, 1, 4], [3, 3, 3, 3, 3, 3], [0, 1, 2, 3, 4, 5]], dtype=torch.int16)
        zeros = torch.zeros_like(document)
        batch = Batch(zeros, zeros, zeros, zeros, zeros, document)
        assert batch.positions().tolist() == [[0, 1, 2, 0, 1, 0], [0, 1, 2, 3, 4, 5], [0, 0, 0, 0, 0, 0]]
