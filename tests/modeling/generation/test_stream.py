"""The stream of tokens: a piece is the same in every batch, at a stretch or in parts, and free once it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest
import torch

from modeling.generation import ExecutorConfig, Growth, SamplingConfig, Step, generate, new_executor, stream
from modeling.generation.executors import Executor, Fields
from modeling.generation.executors.compiled import CompiledState
from modeling.generation.pieces import window_begin
from modeling.network.transformer import MuseNet
from tokenization.encodings import HEADER
from tokenization.encodings.combined import Combined
from tokenization.vocabulary import Tokens, Vocabulary

MakeModel = Callable[..., MuseNet]
Generate = Callable[..., list[Tokens]]
FREE = SamplingConfig(top_p=1.0)
LENGTH = 170
"""Several contexts, of 64 tokens."""


@pytest.fixture(scope="module")
def model(make_model: MakeModel, vocabulary: Vocabulary) -> MuseNet:
    """An untrained network that ends few pieces early."""
    model = make_model(tied_output=False, positions="rotary", kv_heads=1)
    with torch.no_grad():
        model.norm.bias.fill_(1.0)
        model.output.weight[vocabulary.end] = -0.3
    return model


@pytest.fixture(scope="module", params=["fp32", "int8"])
def executor(model: MuseNet, request: pytest.FixtureRequest) -> Executor:
    return new_executor(model, ExecutorConfig(weights=request.param))


@pytest.fixture(scope="module")
def run(model: MuseNet, encoding: Combined, executor: Executor) -> Generate:
    return partial(generate, model, encoding, sampling=FREE, seed=3, executor=executor)


@pytest.fixture(scope="module")
def headers(vocabulary: Vocabulary) -> Tokens:
    """Six headers, `bach` and `jazz` in turn."""
    rest = [vocabulary.instrumentation_id(vocabulary.group_mask(vocabulary.groups)), vocabulary.start]
    styles = [vocabulary.style_id(name) for name in ("bach", "jazz")]
    return np.array([[style, *rest, vocabulary.tempo_id(120)] for style in styles * 3], np.uint16)


@pytest.fixture(scope="module")
def pieces(run: Generate, headers: Tokens) -> list[Tokens]:
    found = run(prompts=headers, lengths=[LENGTH] * 6)
    assert len({tuple(piece[HEADER:].tolist()) for piece in found}) == 6
    return found


class TestBatch:
    def test_fewer_candidates_are_the_first_of_more(self, pieces: list[Tokens], run: Generate, headers: Tokens) -> None:
        for count in (1, 3):
            fewer = run(prompts=headers[:count], lengths=[LENGTH] * count)
            assert [piece.tolist() for piece in fewer] == [piece.tolist() for piece in pieces[:count]]

    def test_a_candidate_is_the_same_beside_any_others(
        self, pieces: list[Tokens], run: Generate, headers: Tokens
    ) -> None:
        chosen = [4, 1]
        found = run(prompts=headers[chosen], lengths=[LENGTH, LENGTH], candidates=chosen)
        assert [piece.tolist() for piece in found] == [pieces[index].tolist() for index in chosen]
        lengths = [LENGTH, 30, LENGTH, 90, 20, LENGTH]
        mixed = run(prompts=headers, lengths=lengths)
        assert [len(piece) for piece in mixed] <= lengths
        for index in (0, 2, 5):
            assert mixed[index].tolist() == pieces[index].tolist()

    def test_with_guidance_too(self, run: Generate, headers: Tokens) -> None:
        guided = SamplingConfig(top_p=0.9, guidance=2.0)
        both = run(prompts=headers[:2], lengths=[100] * 2, sampling=guided)
        (second,) = run(prompts=headers[1:2], lengths=[100], sampling=guided, candidates=[1])
        assert second.tolist() == both[1].tolist()


class TestResuming:
    @pytest.mark.parametrize("done", [HEADER + 1, 40, 64, 65, 66, 94, 150])
    def test_a_piece_goes_on_as_if_it_had_not_stopped(
        self, done: int, pieces: list[Tokens], run: Generate, headers: Tokens
    ) -> None:
        whole = [index for index, piece in enumerate(pieces) if len(piece) > done]
        begun = run(prompts=headers[whole], lengths=[LENGTH] * len(whole), stop=done, candidates=whole)
        assert [piece.tolist() for piece in begun] == [pieces[index][:done].tolist() for index in whole]
        ended = run(prompts=np.stack(begun), lengths=[LENGTH] * len(whole), candidates=whole)
        assert [piece.tolist() for piece in ended] == [pieces[index].tolist() for index in whole]

    def test_a_branch_has_another_seed_and_the_same_beginning(self, pieces: list[Tokens], run: Generate) -> None:
        begun = pieces[0][None, :80]
        branches = run(prompts=np.repeat(begun, 3, 0), lengths=[LENGTH] * 3, seed=4)
        assert len({tuple(branch.tolist()) for branch in branches}) == 3
        assert all(branch[:80].tolist() == begun[0].tolist() for branch in branches)

    @pytest.mark.parametrize(("context", "kept"), [(16, 0.5), (17, 0.5), (64, 0.5), (64, 0.75), (16, 1.0)])
    def test_windows_are_full_before_they_move_and_keep_a_share_of_the_context(self, context: int, kept: float) -> None:
        begins = [window_begin(filled, context, kept) for filled in range(HEADER, 6 * context)]
        sizes = [HEADER + filled - begin for filled, begin in zip(range(HEADER, 6 * context), begins)]
        moves = np.flatnonzero(np.diff(begins)) + 1
        assert max(sizes) == context
        assert {sizes[move - 1] for move in moves} == {context}
        assert {sizes[move] for move in moves} == {min(HEADER + int(context * kept), context)}


class TestStream:
    @pytest.fixture
    def steps(self, executor: Executor, encoding: Combined, headers: Tokens) -> Iterator[Step]:
        return stream(Growth(executor, 64, encoding, headers, [LENGTH, 12, 9, LENGTH, LENGTH, LENGTH], FREE, 3))

    def test_steps_are_the_tokens_in_turn(self, steps: Iterator[Step], pieces: list[Tokens]) -> None:
        for position, step in zip(range(HEADER, 60), steps):
            assert step.position == position
            if position == HEADER:
                assert step.pieces.tolist() == list(range(6))
            for piece, token in zip(step.pieces.tolist(), step.tokens.tolist()):
                if piece not in (1, 2):
                    assert token == pieces[piece][position]
        assert not {1, 2} & set(step.pieces.tolist())

    def test_nothing_is_computed_that_is_not_asked_for(
        self, steps: Iterator[Step], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows: list[int] = []
        decode_step = CompiledState.decode_step

        def counted(state: CompiledState, latest: Fields) -> None:
            rows.append(latest.shape[1])
            decode_step(state, latest)

        monkeypatch.setattr(CompiledState, "decode_step", counted)
        next(steps)
        assert rows == []  # the prompt alone
        alive = [len(next(steps).pieces) for _ in range(9)]
        assert rows == alive, "pieces that have ended are left out"
        assert alive[0] == 6
        assert alive[-1] <= 4
