"""The critic's head: it pools over music alone, in 32 bits."""

from __future__ import annotations

import torch

from modeling.criticism import CriticHead

D_MODEL, SIZE = 16, 12


def test_positions_without_music_do_not_count() -> None:
    torch.manual_seed(0)
    head = CriticHead(D_MODEL, 8)
    assert head.d_model == D_MODEL
    states = torch.randn(6, SIZE, D_MODEL)
    music = torch.ones(6, SIZE, dtype=torch.bool)
    music[:, 7:] = False
    changed = states.clone()
    changed[:, 7:] = 100.0
    assert torch.equal(head(changed, music), head(states, music))
    torch.testing.assert_close(head(states, music), head(states[:, :7], music[:, :7]))


def test_states_of_16_bits_are_computed_in_32() -> None:
    states, music = torch.randn(2, SIZE, D_MODEL), torch.ones(2, SIZE, dtype=torch.bool)
    assert CriticHead(D_MODEL, 8)(states.bfloat16(), music).dtype == torch.float32
