"""Infilling: a span, an instrument or all of a piece composed anew, and the rest note for note."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from infra.errors import UserError
from modeling.controls import Controls
from modeling.generation import (
    ExecutorConfig,
    Frame,
    Infill,
    ModelBundle,
    Request,
    SamplingConfig,
    compose,
    seam_losses,
)
from modeling.generation.direction import Direction
from tokenization.encodings import Time, get_encoding
from tokenization.encodings.effects import DRUM, TEMPO
from tokenization.encodings.grid import Grid
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Tokens, Vocabulary, VocabularyError

MakeRequest = Callable[..., Request]
BundleOf = Callable[[str, Time], ModelBundle]
MakeNotes = Callable[[int, int], Notes]
LONGEST = 8.0
DRUMS = 7
"""The row of drum hits, whose length is not in the tokens."""

INFILLS = [
    Infill(2.0, 5.0),
    Infill(0.0, 3.0),
    Infill(4.0),
    Infill(),
    Infill(1.0, 6.0, replaced=("strings",)),
    Infill(1.5, 4.0, replaced=("violin",), added=("drums",)),
    Infill(added=("cello",), replaced=()),
    Infill(2.0, 5.0, replaced=(), added=("piano",)),
]


@pytest.fixture(scope="module", params=itertools.product(("combined", "note"), Time), ids=str)
def bundle(request: pytest.FixtureRequest, bundle_of: BundleOf) -> ModelBundle:
    return bundle_of(*request.param)


@pytest.fixture(scope="module")
def given(bundle: ModelBundle, make_notes: MakeNotes) -> Tokens:
    """Sixty notes in seven and a half seconds, for piano, strings and drums."""
    return bundle.encoding.encode(make_notes(60, 3), "bach")[:-1]


def notes_of(grid: Grid) -> set[tuple[int, int, int, int]]:
    return set(zip(*(getattr(grid, name).tolist() for name in ("start", "end", "row", "pitch"))))


def outside(grid: Grid, frame: Frame, infill: Infill, vocabulary: Vocabulary) -> set[tuple[int, int, int, int]]:
    """The notes that start outside of the span, or are played by an instrument that is not replaced."""
    replaced = {*range(len(vocabulary.instruments))}
    if infill.replaced is not None:
        replaced = {*np.flatnonzero(vocabulary.named_instruments(infill.replaced)).tolist()}
    return {
        note
        for note in notes_of(grid)
        if not frame.begin <= note[0] < frame.end or int(vocabulary.row_instrument[note[2]]) not in replaced
    }


@pytest.mark.parametrize("infill", INFILLS, ids=str)
def test_all_but_what_is_composed_anew_stays_note_for_note(
    infill: Infill, bundle: ModelBundle, given: Tokens, make_request: MakeRequest
) -> None:
    encoding, vocabulary = bundle.encoding, bundle.encoding.vocabulary
    frame = Frame(encoding, given, infill, LONGEST)
    before = outside(encoding.read(given), frame, infill, vocabulary)
    found = compose(bundle, make_request(prompt=given, infill=infill, best_of=3))
    assert len({candidate.tokens.tobytes() for candidate in found}) == 3
    for candidate in found:
        grid = encoding.read(candidate.tokens)
        assert before <= notes_of(grid)
        new = notes_of(grid) - before
        assert new
        assert all(frame.begin <= start < end <= frame.end or row == DRUMS for start, end, row, _ in new)
        assert all(frame.playable[vocabulary.row_instrument[row]] for *_, row, _ in new)
        assert encoding.encode(encoding.decode(candidate.tokens))[4:].tolist() == candidate.tokens[4:].tolist()
        assert vocabulary.instruments_of(candidate.tokens[1:2])[0][list({*vocabulary.row_instrument[grid.row]})].all()


@pytest.mark.parametrize("seed", range(3))
def test_any_piece_and_span(seed: int, bundle: ModelBundle, make_notes: MakeNotes, make_request: MakeRequest) -> None:
    random = np.random.default_rng(seed)
    given = bundle.encoding.encode(make_notes(int(random.integers(1, 40)), seed))[:-1]
    lasts = bundle.encoding.decode(given).seconds
    begin, end = np.sort(random.uniform(0, lasts, 2)).tolist()
    infill = Infill(begin, end + 0.1)
    frame = Frame(bundle.encoding, given, infill, LONGEST)
    before = outside(bundle.encoding.read(given), frame, infill, bundle.encoding.vocabulary)
    (found,) = compose(bundle, make_request(prompt=given, infill=infill, best_of=1, seed=seed))
    assert before <= notes_of(bundle.encoding.read(found.tokens))


class TestNewNotes:
    def test_are_within_the_controls(self, bundle: ModelBundle, given: Tokens, make_request: MakeRequest) -> None:
        infill = Infill(2.0, 5.0, replaced=("piano",))
        direction = Direction(controls=Controls(lowest=70, highest=80))
        frame = Frame(bundle.encoding, given, infill, LONGEST)
        before = outside(bundle.encoding.read(given), frame, infill, bundle.encoding.vocabulary)
        (found,) = compose(bundle, make_request(prompt=given, infill=infill, best_of=1, direction=direction))
        new = notes_of(bundle.encoding.read(found.tokens)) - before
        assert new
        assert all(70 <= pitch <= 80 for *_, pitch in new)

    def test_are_no_longer_than_the_longest(
        self, bundle: ModelBundle, given: Tokens, make_request: MakeRequest
    ) -> None:
        infill, sampling = Infill(1.0, 6.0), SamplingConfig(top_p=1.0, longest_note=0.125)
        frame = Frame(bundle.encoding, given, infill, 0.125)
        before = outside(bundle.encoding.read(given), frame, infill, bundle.encoding.vocabulary)
        (found,) = compose(bundle, make_request(prompt=given, infill=infill, best_of=1, sampling=sampling))
        new = notes_of(bundle.encoding.read(found.tokens)) - before
        assert max(end - start for start, end, row, _ in new if row != DRUMS) <= 12

    def test_follow_the_seed(self, bundle: ModelBundle, given: Tokens, make_request: MakeRequest) -> None:
        asked = make_request(prompt=given, infill=Infill(2.0, 5.0), best_of=4)
        found = {candidate.index: candidate.tokens.tolist() for candidate in compose(bundle, asked)}
        fewer = compose(bundle, replace(asked, best_of=2))
        assert {candidate.index: candidate.tokens.tolist() for candidate in fewer} == {n: found[n] for n in (0, 1)}


class TestTheChoice:
    def test_is_by_the_loss_of_what_follows(
        self, bundle: ModelBundle, given: Tokens, make_request: MakeRequest
    ) -> None:
        infill = Infill(2.0, 5.0)
        found = compose(bundle, make_request(prompt=given, infill=infill, best_of=4))
        seams = [candidate.seam for candidate in found]
        assert all(seam is not None and seam > 0 for seam in seams)
        assert seams == sorted(seams)  # type: ignore[type-var]

    def test_is_the_critic_s_where_nothing_follows(
        self, bundle: ModelBundle, given: Tokens, make_request: MakeRequest
    ) -> None:
        found = compose(bundle, make_request(prompt=given, infill=Infill(2.0), best_of=4))
        assert [candidate.seam for candidate in found] == [None] * 4
        assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)

    def test_loss_is_that_of_the_tokens_behind_the_seam(self, bundle: ModelBundle, given: Tokens) -> None:
        """Of a piece that fits into one window: the network's loss at sixteen tokens, computed token by token."""
        model, encoding = bundle.model, bundle.encoding
        piece = np.append(given[:50], np.uint16(encoding.vocabulary.end))
        kind = encoding.effects.table.kind[piece]
        place = int(np.flatnonzero((kind >= TEMPO) & (kind <= DRUM))[-10])
        (found,) = seam_losses(model, encoding, [piece], 10)
        marks = encoding.features(piece)
        columns = np.stack([piece, marks.time, marks.chord, marks.part, marks.countdown]).astype(np.int64)[:, None]
        losses = []
        for at in range(place, min(place + 16, len(piece))):
            logits = next_logits(bundle, columns[:, :, :at])
            losses.append(np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[piece[at]])
        assert found == pytest.approx(np.mean(losses), abs=1e-4)


def next_logits(bundle: ModelBundle, fields: NDArray[np.int64]) -> NDArray[np.float64]:
    state = bundle.executor(ExecutorConfig(executor="eager")).prefill(fields, fields.shape[2])
    return np.asarray(state.logits[0], np.float64)[: bundle.encoding.vocabulary.size]


class TestRefused:
    @pytest.mark.parametrize("name", ["onset", "chordwise", "combined_bpe", "onset_bpe"])
    def test_are_encodings_without_ends_or_with_learned_tokens(
        self, name: str, vocabulary: Vocabulary, given: Tokens
    ) -> None:
        with pytest.raises(
            UserError, match=f"infilling needs an encoding with .*, combined or note; the model's is {name}"
        ):
            Frame(get_encoding(name, vocabulary), given, Infill(), LONGEST)

    @pytest.mark.parametrize("infill", [Infill(100.0, 120.0), Infill(3.0, 3.0), Infill(4.0, 2.0)], ids=str)
    def test_are_spans_without_music(self, infill: Infill, bundle: ModelBundle, given: Tokens) -> None:
        with pytest.raises(UserError, match=r"nothing lies between \d+ s and \d+ s of a piece of 7\.\d s"):
            Frame(bundle.encoding, given, infill, LONGEST)

    def test_are_unknown_instruments(self, bundle: ModelBundle, given: Tokens) -> None:
        with pytest.raises(VocabularyError, match="no instrument 'kazoo'"):
            Frame(bundle.encoding, given, Infill(added=("kazoo",)), LONGEST)
