"""The critic's head: a logit at every position, of what was read so far in its document, over music alone."""

from __future__ import annotations

import torch

from modeling.network.critic_head import CriticHead

D_MODEL, SIZE = 16, 12


def head() -> CriticHead:
    torch.manual_seed(0)
    return CriticHead(D_MODEL, 8)


def test_a_logit_depends_on_what_was_read_so_far_alone() -> None:
    critic, states = head(), torch.randn(3, SIZE, D_MODEL)
    music = torch.ones(3, SIZE, dtype=torch.bool)
    changed = states.clone()
    changed[:, 7:] = 5.0
    before, after = critic(states, music), critic(changed, music)
    assert before.shape == (3, SIZE)
    torch.testing.assert_close(after[:, :7], before[:, :7])
    assert not torch.allclose(after[:, 7:], before[:, 7:])
    torch.testing.assert_close(critic(states[:, :5], music[:, :5]), before[:, :5])


def test_what_was_read_once_counts_behind_it() -> None:
    critic, states = head(), torch.randn(1, SIZE, D_MODEL)
    music = torch.ones(1, SIZE, dtype=torch.bool)
    changed = states.clone()
    changed[:, 2] = 3.0
    assert not torch.allclose(critic(changed, music)[:, -1], critic(states, music)[:, -1])


def test_padding_does_not_count() -> None:
    critic, states = head(), torch.randn(2, SIZE, D_MODEL)
    music = torch.ones(2, SIZE, dtype=torch.bool)
    music[:, 3] = False
    changed = states.clone()
    changed[:, 3] = 100.0
    torch.testing.assert_close(critic(changed, music)[:, 4:], critic(states, music)[:, 4:])


def test_documents_of_a_packed_row_are_heard_as_if_alone() -> None:
    critic, states = head(), torch.randn(1, SIZE, D_MODEL)
    music = torch.ones(1, SIZE, dtype=torch.bool)
    positions = torch.tensor([[*range(5), *range(7)]])
    packed = critic(states, music, positions)
    alone = [critic(part, torch.ones(1, part.shape[1], dtype=torch.bool)) for part in (states[:, :5], states[:, 5:])]
    torch.testing.assert_close(packed, torch.cat(alone, dim=1), rtol=1e-4, atol=1e-5)


def test_weights_of_16_bits_give_logits_of_32() -> None:
    states, music = torch.randn(2, SIZE, D_MODEL).bfloat16(), torch.ones(2, SIZE, dtype=torch.bool)
    assert head().bfloat16()(states, music).dtype == torch.float32
