"""Fitting a critic: it separates what differs, and is at chance where nothing does."""

from __future__ import annotations

from collections.abc import Callable

import torch

from modeling.criticism import CriticConfig, LabelledStates, fit_critic, label_states
from modeling.data import Split
from modeling.network.transformer import MuseNet

D_MODEL, SIZE = 16, 12
CONFIG = CriticConfig(window=SIZE, hidden=16, epochs=15)


def labelled(count: int, difference: float, seed: int) -> LabelledStates:
    """Random states; those of real windows differ in one direction, by so many standard deviations."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(count, SIZE, D_MODEL, generator=generator)
    real = torch.arange(count) % 2 == 0
    states[real, :, 0] += difference
    music = torch.ones(count, SIZE, dtype=torch.bool)
    return LabelledStates(states, music, real)


class TestFitting:
    def test_what_differs_is_separated(self) -> None:
        result = fit_critic(CONFIG, labelled(120, 2.0, 0), labelled(80, 2.0, 1), seed=0)
        assert result.auc > 0.97
        assert result.train_auc > 0.97
        assert result.held_out == 80

    def test_where_nothing_differs_the_auc_is_that_of_chance(self) -> None:
        result = fit_critic(CONFIG, labelled(120, 0.0, 0), labelled(400, 0.0, 1), seed=0)
        # 200 against 200: the AUC of a guess has a standard deviation of 0.03
        assert 0.4 < result.auc < 0.6

    def test_high_logits_mean_real(self) -> None:
        held_out = labelled(40, 3.0, 2)
        head = fit_critic(CONFIG, labelled(120, 3.0, 0), held_out, seed=0).head
        logits = head(held_out.states, held_out.music)
        assert logits.shape == (40,)
        assert (logits[held_out.real].min() > logits[~held_out.real].max()).item()
        assert not head.training

    def test_a_seed_gives_the_same_critic(self) -> None:
        first, second, other = (
            fit_critic(CONFIG, labelled(40, 1.0, 0), labelled(40, 1.0, 1), seed=seed) for seed in (4, 4, 5)
        )
        assert torch.equal(first.head.out_proj.weight, second.head.out_proj.weight)
        assert first.auc == second.auc
        assert not torch.equal(first.head.out_proj.weight, other.head.out_proj.weight)

    def test_progress_is_reported_after_every_epoch(self) -> None:
        reported: list[tuple[int, int]] = []
        config = CONFIG.model_copy(update={"epochs": 3})
        data = labelled(20, 1.0, 0)
        fit_critic(config, data, data, seed=0, on_progress=lambda done, total: reported.append((done, total)))
        assert reported == [(1, 3), (2, 3), (3, 3)]


def test_real_pieces_come_first_and_are_labelled(make_model: Callable[..., MuseNet], split: Split) -> None:
    real, generated = split.pieces[6:9], [piece[:20] for piece in split.pieces[6:9]]
    lengths = [len(piece) for piece in real]
    labelled = label_states(make_model(), split.encoding, real, generated, lengths, 32)
    assert labelled.states.shape == (6, 32, 32)
    assert labelled.real.tolist() == [True] * 3 + [False] * 3
    assert labelled.music.sum(1).tolist() == [32] * 3 + [20] * 3
