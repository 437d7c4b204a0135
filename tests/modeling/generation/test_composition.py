"""Composition: candidates for a request, in the order of the critic's scores."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from infra.errors import RunError
from modeling.criticism import CriticConfig, judge
from modeling.generation import (
    Candidate,
    ExecutorConfig,
    Infill,
    ModelBundle,
    Request,
    SamplingConfig,
    SharedExecutor,
    Step,
    Watch,
    at_a_stretch,
    beginning,
    compose,
    composing,
    composition,
    prompt_tokens,
    share,
)
from tokenization.encodings import ENCODINGS, Time
from tokenization.midi import read_midi
from tokenization.midi.notes import Notes

MakeRequest = Callable[..., Request]
BundleOf = Callable[[str, Time], ModelBundle]
every_encoding = pytest.mark.parametrize(("name", "time"), list(itertools.product(ENCODINGS, Time)))


@pytest.fixture(scope="session")
def midi_folder() -> Path:
    return Path(__file__).parents[2] / "fixtures" / "midi"


class TestCompose:
    def test_candidates_come_best_first_with_the_critic_s_score(
        self, bundle: ModelBundle, make_request: MakeRequest
    ) -> None:
        found = compose(bundle, make_request(best_of=6))
        assert sorted(candidate.index for candidate in found) == list(range(6))
        scores = [candidate.score for candidate in found]
        assert scores == sorted(scores, reverse=True)
        pieces = [candidate.tokens for candidate in found]
        assert {len(piece) for piece in pieces} == {40}
        assert bundle.critic is not None
        expected = [judged.score for judged in judge(bundle.critic, bundle.encoding, pieces, [40] * 6)]
        assert scores == pytest.approx(expected, rel=1e-5)

    def test_a_seed_gives_the_same_candidates(self, bundle: ModelBundle, make_request: MakeRequest) -> None:
        first, second, other = (compose(bundle, make_request(seed=seed)) for seed in (7, 7, 8))
        assert [c.tokens.tolist() for c in first] == [c.tokens.tolist() for c in second]
        assert [c.tokens.tolist() for c in first] != [c.tokens.tolist() for c in other]

    def test_many_candidates_are_made_in_batches(
        self, bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch, make_request: MakeRequest
    ) -> None:
        monkeypatch.setattr(composition, "MAX_BATCH", 2)
        told: list[tuple[int, int]] = []
        found = compose(bundle, make_request(best_of=5), lambda done, total: told.append((done, total)))
        assert len({tuple(candidate.tokens.tolist()) for candidate in found}) == 5
        assert told == sorted(told)
        assert told[-1] == (200, 200)

    def test_every_candidate_begins_with_the_prompt(
        self, bundle: ModelBundle, tune: Notes, make_request: MakeRequest
    ) -> None:
        asked = make_request(prompt=bundle.encoding.encode(tune)[:-1], length=80, instruments=("piano", "strings"))
        begin = prompt_tokens(bundle.encoding, asked).tolist()
        for candidate in compose(bundle, asked):
            assert candidate.tokens[: len(begin)].tolist() == begin
            assert 78 <= len(candidate.tokens) <= 80

    def test_behind_a_long_prompt_the_critic_hears_the_continuation(
        self, bundle: ModelBundle, long_tune: Notes, make_request: MakeRequest
    ) -> None:
        assert bundle.critic is not None
        near = replace(bundle, critic=replace(bundle.critic, config=CriticConfig(window=16, hidden=8)))
        asked = make_request(prompt=near.encoding.encode(beginning(long_tune, count=20))[:-1], length=120)
        assert len(prompt_tokens(near.encoding, asked)) > 16
        found = compose(near, asked)
        pieces = [candidate.tokens for candidate in found]
        assert near.critic is not None
        early = [judged.logits[0] for judged in judge(near.critic, near.encoding, pieces, [120] * 3)]
        assert max(early) - min(early) < 1e-6, "up to there the candidates are alike"
        assert len({round(candidate.score, 5) for candidate in found}) == 3

    @every_encoding
    def test_every_encoding_continues_a_prompt(
        self, name: str, time: Time, bundle_of: BundleOf, long_tune: Notes, make_request: MakeRequest
    ) -> None:
        bundle = bundle_of(name, time)
        asked = make_request(prompt=bundle.encoding.encode(beginning(long_tune, count=8))[:-1], length=80, best_of=2)
        begin = prompt_tokens(bundle.encoding, asked)
        for candidate in compose(bundle, asked):
            assert candidate.tokens[: len(begin)].tolist() == begin.tolist()
            assert 78 <= len(candidate.tokens) <= 80
            assert len(bundle.encoding.decode(candidate.tokens)) > len(bundle.encoding.decode(begin))

    def test_real_music_is_continued(self, bundle: ModelBundle, midi_folder: Path, make_request: MakeRequest) -> None:
        prompt = read_midi((midi_folder / "ok_type0.mid").read_bytes())
        (found,) = compose(
            bundle, make_request(prompt=bundle.encoding.encode(beginning(prompt, count=20))[:-1], length=200, best_of=1)
        )
        assert len(bundle.encoding.decode(found.tokens)) > 0


class TestTurns:
    """Requests that are composed in turn, by one executor for all."""

    @pytest.fixture
    def shared(self, bundle: ModelBundle) -> SharedExecutor:
        executor = share(bundle.executor(ExecutorConfig()), 24, bundle.model.config.context)
        assert isinstance(executor, SharedExecutor)
        return executor

    def test_each_is_what_it_is_alone(
        self, bundle: ModelBundle, shared: SharedExecutor, tune: Notes, make_request: MakeRequest
    ) -> None:
        prompt = bundle.encoding.encode(tune)[:-1]
        requests = [
            make_request(length=150),  # the window moves twice
            make_request(best_of=6, length=100, prune=True, seed=1),
            make_request(best_of=2, prompt=prompt, length=len(prompt) + 40, rank="likelihood"),
            make_request(best_of=2, sampling=SamplingConfig(top_p=0.9, guidance=2.0)),
            make_request(best_of=2, prompt=prompt, infill=Infill(0.2, 0.6)),
        ]
        expected = [compose(bundle, request) for request in requests]
        free = sorted(shared.free)
        works = {n: composing(bundle, request, shared, Watch()) for n, request in enumerate(requests)}
        found: dict[int, list[Candidate]] = {}
        waiting = list(works)
        running: list[int] = []
        answers: dict[int, object] = {}
        for turn in itertools.count():
            if turn % 7 == 0 and waiting:  # they join one after the other
                running.append(waiting.pop(0))
            for number in list(running):
                try:
                    aside = works[number].send(answers.pop(number, None))
                except StopIteration as done:
                    found[number] = done.value
                    running.remove(number)
                else:
                    if aside is not None:
                        answers[number] = aside()
            shared.run()
            if not (running or waiting):
                break
        assert [
            [(c.index, c.tokens.tolist(), c.score, c.likelihood, c.seam) for c in found[n]]
            for n in range(len(requests))
        ] == [[(c.index, c.tokens.tolist(), c.score, c.likelihood, c.seam) for c in each] for each in expected]
        assert sorted(shared.free) == free

    def test_one_that_is_given_up_leaves_its_rows(
        self, bundle: ModelBundle, shared: SharedExecutor, make_request: MakeRequest
    ) -> None:
        work = composing(bundle, make_request(), shared, Watch())
        next(work)
        shared.run()
        next(work)
        assert len(shared.free) == 21
        work.close()
        assert len(shared.free) == 24

    @pytest.mark.parametrize("prune", [True, False])
    def test_one_that_is_over_before_its_end_is_what_was_made(
        self, prune: bool, bundle: ModelBundle, make_request: MakeRequest
    ) -> None:
        request = make_request(best_of=3, length=120, prune=prune)
        whole = {c.index: c.tokens.tolist() for c in compose(bundle, replace(request, prune=False))}
        drawn: list[int] = []
        watch = Watch(on_step=lambda numbers, step: drawn.append(step.position), is_over=lambda: len(drawn) >= 30)
        executor = bundle.executor(ExecutorConfig())
        found = at_a_stretch(composing(bundle, request, executor, watch))
        assert [c.tokens.tolist() for c in found] == [whole[c.index][:34] for c in found]
        assert len(found) == 3
        assert all(c.score is not None for c in found)

    def test_one_in_haste_is_not_ranked(self, bundle: ModelBundle, make_request: MakeRequest) -> None:
        watch = Watch(is_in_haste=lambda: True)
        found = at_a_stretch(composing(bundle, make_request(), bundle.executor(ExecutorConfig()), watch))
        assert [(c.index, c.score) for c in found] == [(0, None), (1, None), (2, None)]

    def test_one_that_is_over_before_its_first_token_says_so(
        self, bundle: ModelBundle, make_request: MakeRequest
    ) -> None:
        work = composing(bundle, make_request(), bundle.executor(ExecutorConfig()), Watch(is_over=lambda: True))
        with pytest.raises(RunError, match="before a token was composed"):
            at_a_stretch(work)

    def test_steps_name_their_candidates(self, bundle: ModelBundle, make_request: MakeRequest) -> None:
        pieces: dict[int, list[int]] = {}

        def told(numbers: list[int], step: Step) -> None:
            for number, token in zip(numbers, step.tokens.tolist()):
                pieces.setdefault(number, []).append(token)

        request = make_request(first=5)
        found = at_a_stretch(composing(bundle, request, bundle.executor(ExecutorConfig()), Watch(on_step=told)))
        assert {c.index: c.tokens[4:].tolist() for c in found} == pieces
