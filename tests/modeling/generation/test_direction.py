"""Direction: lengths in time, blends, controls and open instrumentations of whole pieces."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from modeling.controls import Blend, Controls
from modeling.generation import ExecutorConfig, ModelBundle, SamplingConfig, generate, new_executor
from modeling.generation.direction import Direction
from modeling.generation.mixture import Header, Mixture
from modeling.network.transformer import MuseNet
from tokenization.encodings import ENCODINGS, Time
from tokenization.vocabulary import Tokens, VocabularyError

BundleOf = Callable[[str, Time], ModelBundle]
FREE = SamplingConfig(top_p=1.0)


def pieces_of(
    bundle: ModelBundle,
    direction: Direction,
    count: int = 4,
    length: int = 300,
    instruments: Sequence[str] = ("piano",),
) -> list[Tokens]:
    vocabulary = bundle.vocabulary
    header = [
        vocabulary.style_id("bach"),
        vocabulary.instrumentation_id(vocabulary.group_mask(instruments)),
        vocabulary.start,
        vocabulary.tempo_id(120),
    ]
    prompts = np.tile(np.array(header, np.uint16), (count, 1))
    return generate(bundle.model, bundle.encoding, prompts, [length] * count, FREE, 0, direction=direction)


@pytest.mark.parametrize(("name", "time"), list(itertools.product(ENCODINGS, Time)))
def test_a_length_in_time_is_kept(name: str, time: Time, bundle_of: BundleOf) -> None:
    bundle = bundle_of(name, time)
    for estimate in (200, 800):
        for piece in pieces_of(bundle, Direction(seconds=6.0), count=2, length=estimate):
            assert piece[-1] == bundle.vocabulary.end
            # The model's weights are random: a rest or a wait of up to a third of a second may come before the end.
            assert 5.3 < bundle.encoding.decode(piece).seconds < 6.6


def test_pieces_with_a_length_in_time_do_not_depend_on_the_batch(bundle: ModelBundle) -> None:
    many, few = (pieces_of(bundle, Direction(seconds=4.0), count=count) for count in (4, 2))
    assert [piece.tolist() for piece in many[:2]] == [piece.tolist() for piece in few]


class TestBlends:
    def test_the_weights_of_headers_sum_to_one(self, bundle: ModelBundle) -> None:
        vocabulary = bundle.vocabulary
        direction = Direction(blend=Blend([(0, {"bach": 1.0, "jazz": 3.0})]))
        mixture = Mixture(vocabulary, direction, guidance=2.0)
        assert mixture.headers == (
            Header(style=vocabulary.style_id("bach")),
            Header(style=vocabulary.style_id("jazz")),
            Header(vocabulary.no_style, vocabulary.no_instrumentation),
        )
        assert mixture.weights(np.zeros(1)).tolist() == [[0.5, 1.5, -1.0]]
        assert Mixture(vocabulary, Direction(), 1.0).headers == (Header(),)

    def test_of_one_style_is_that_style(self, bundle: ModelBundle) -> None:
        alone, blended = (pieces_of(bundle, Direction(blend=blend)) for blend in (None, Blend([(0, {"bach": 2.0})])))
        assert [piece.tolist() for piece in alone] == [piece.tolist() for piece in blended]

    def test_a_style_from_a_time_on_changes_nothing_before(
        self, bundle: ModelBundle, make_model: Callable[..., MuseNet]
    ) -> None:
        model = make_model(mode="dense", tied_output=False)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter *= 5  # so that one token of the header makes a difference
            model.norm.bias.fill_(1.0)
            model.output.weight[bundle.vocabulary.end] = -0.5
        bundle = replace(bundle, model=model, _executors={})
        alone = pieces_of(bundle, Direction())
        later = pieces_of(bundle, Direction(blend=Blend([(1.0, {"bach": 1.0}), (1.2, {"jazz": 1.0})])))
        for one, other in zip(alone, later):
            size = min(len(one), len(other))
            first = int(np.flatnonzero(one[:size] != other[:size])[0])
            assert bundle.encoding.features(one).time[first] / bundle.encoding.ticks_per_second > 0.9

    def test_of_an_unknown_style_is_refused(self, bundle: ModelBundle) -> None:
        with pytest.raises(VocabularyError, match="polka"):
            pieces_of(bundle, Direction(blend=Blend([(0, {"polka": 1.0})])))


class TestControls:
    @pytest.mark.parametrize(
        ("name", "time"), [("combined", Time.SECONDS), ("note", Time.SECONDS), ("note", Time.BEATS)]
    )
    def test_limits_are_kept_throughout(self, name: str, time: Time, bundle_of: BundleOf) -> None:
        bundle = bundle_of(name, time)
        controls = Controls(lowest=55, highest=80, key="D", strict_key=True, loudest=70, most_voices=2)
        for piece in pieces_of(bundle, Direction(controls=controls)):
            notes = bundle.encoding.decode(piece)
            assert len(notes) > 10
            assert notes.pitch.min() >= 55
            assert notes.pitch.max() <= 80
            assert set((notes.pitch % 12).tolist()) <= {2, 4, 6, 7, 9, 11, 1}
            assert set(notes.velocity.tolist()) == {64}
            grid = bundle.encoding.read(piece)
            sounding = (grid.start[:, None] <= grid.start) & (grid.start < grid.end[:, None])
            assert sounding.sum(axis=0).max() <= 2

    def test_where_as_many_sound_as_may_time_goes_on_until_one_has_ended(self, bundle_of: BundleOf) -> None:
        bundle = bundle_of("note", Time.BEATS)
        (piece,) = pieces_of(bundle, Direction(controls=Controls(most_voices=1)), count=1)
        grid = bundle.encoding.read(piece)
        assert len(grid) > 10
        assert (grid.start[1:] >= grid.end[:-1]).all()

    def test_a_density_is_approached(self, bundle: ModelBundle) -> None:
        rates = []
        for density in (2.0, 12.0):
            direction = Direction(seconds=10.0, controls=Controls(density=density))
            notes = [bundle.encoding.decode(piece) for piece in pieces_of(bundle, direction, length=800)]
            rates.append(np.mean([len(each) / each.seconds for each in notes]))
        assert 2 * rates[0] < rates[1]

    def test_in_an_open_instrumentation_others_may_play(self, bundle: ModelBundle) -> None:
        def programs(direction: Direction) -> set[int]:
            return {
                int(program)
                for piece in pieces_of(bundle, direction)
                for program in bundle.encoding.decode(piece).program
            }

        assert programs(Direction()) == {0}
        assert programs(Direction(is_open=True)) > {0}
        assert programs(Direction(is_open=True, controls=Controls(outside=50.0))) == {0}

    def test_of_a_group_the_instruments_asked_for_play(self, bundle: ModelBundle) -> None:
        def programs(direction: Direction) -> set[int]:
            pieces = pieces_of(bundle, direction, instruments=["strings"])
            return {int(program) for piece in pieces for program in bundle.encoding.decode(piece).program}

        assert programs(Direction()) == {40, 42}
        assert programs(Direction(instruments=("cello",))) == {42}
        assert programs(Direction(instruments=("violin", "strings"))) == {40, 42}


class TestEntries:
    NAMES = ("piano", "strings", "drums")

    @pytest.mark.parametrize(
        ("name", "time"),
        [("combined", Time.SECONDS), ("note", Time.BEATS), ("chordwise", Time.SECONDS), ("onset_bpe", Time.BEATS)],
    )
    def test_all_that_is_required_sounds_whatever_the_weights(self, name: str, time: Time, bundle_of: BundleOf) -> None:
        bundle = bundle_of(name, time)
        directions = [
            Direction(instruments=self.NAMES),
            Direction(instruments=self.NAMES, seconds=5.0),
            Direction(instruments=self.NAMES, controls=Controls(most_voices=1, lowest=40, highest=70)),
        ]
        for direction, length in zip(directions, (48, 300, 120)):
            for piece in pieces_of(bundle, direction, length=length, instruments=self.NAMES):
                assert heard(bundle, piece) == set(self.NAMES)

    def test_suggestions_are_heard_more_often_than_by_chance(self, bundle: ModelBundle) -> None:
        even = Controls(outside=0.0)
        directions = [Direction(controls=even, is_open=True, instruments=names) for names in ((), ("drums",))]
        counts = [
            sum("drums" in heard(bundle, piece) for piece in pieces_of(bundle, direction, 16, 24, self.NAMES))
            for direction in directions
        ]
        assert counts[0] < counts[1]

    def test_a_piece_is_the_same_in_any_batch_and_continued_from_anywhere(self, bundle: ModelBundle) -> None:
        direction = Direction(instruments=self.NAMES, seconds=4.0)
        many, few = (pieces_of(bundle, direction, count=count, instruments=self.NAMES) for count in (4, 2))
        assert [piece.tolist() for piece in many[:2]] == [piece.tolist() for piece in few]
        begun = np.stack([piece[:30] for piece in few])
        whole = generate(bundle.model, bundle.encoding, begun, [300] * 2, FREE, 0, direction=direction)
        assert [piece.tolist() for piece in whole] == [piece.tolist() for piece in few]

    def test_executors_agree(self, bundle: ModelBundle) -> None:
        direction = Direction(instruments=self.NAMES)
        prompts = np.stack([piece[:4] for piece in pieces_of(bundle, direction, count=2, instruments=self.NAMES)])
        executors = [new_executor(bundle.model, ExecutorConfig(executor=kind)) for kind in ("eager", "compiled")]
        pieces = [
            generate(bundle.model, bundle.encoding, prompts, [80] * 2, FREE, 0, direction=direction, executor=executor)
            for executor in executors
        ]
        assert [piece.tolist() for piece in pieces[0]] == [piece.tolist() for piece in pieces[1]]


def heard(bundle: ModelBundle, piece: Tokens) -> set[str]:
    """The groups that sound in a piece."""
    vocabulary = bundle.vocabulary
    rows = bundle.encoding.read(bundle.encoding.expand(piece)).row
    return {vocabulary.instruments[index].group for index in np.unique(vocabulary.row_instrument[rows]).tolist()}
