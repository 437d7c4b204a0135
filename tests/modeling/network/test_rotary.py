"""Rotary positions: lengths stay, and of two positions only the distance counts."""

from __future__ import annotations

import torch

from modeling.network.rotary import rotation

WIDTH = 16


def turned(x_d: torch.Tensor, position: int) -> torch.Tensor:
    return rotation(torch.tensor([position]), WIDTH, x_d.dtype)(x_d[None, None, None])[0, 0, 0]


def test_the_first_position_is_not_turned() -> None:
    x = torch.randn(WIDTH)
    assert torch.equal(turned(x, 0), x)


def test_pairs_are_turned_by_angles_from_one_a_position_downwards() -> None:
    x = torch.zeros(WIDTH)
    x[0] = 1.0
    found = turned(x, 2)
    assert torch.allclose(
        found[[0, WIDTH // 2]],
        torch.tensor([2.0]).cos() * torch.tensor([1.0, 0.0]) + torch.tensor([2.0]).sin() * torch.tensor([0.0, 1.0]),
    )
    last = torch.zeros(WIDTH)
    last[WIDTH // 2 - 1] = 1.0
    assert turned(last, 2)[WIDTH // 2 - 1] > 0.999


def test_lengths_stay() -> None:
    x = torch.randn(WIDTH, dtype=torch.float64)
    torch.testing.assert_close(turned(x, 37).norm(), x.norm(), rtol=1e-6, atol=0)


def test_only_the_distance_counts() -> None:
    torch.manual_seed(0)
    query, key = torch.randn(2, WIDTH)
    near = [turned(query, p + 5) @ turned(key, p) for p in (0, 3, 400)]
    torch.testing.assert_close(torch.stack(near), near[0].repeat(3), rtol=1e-3, atol=1e-4)
    assert not torch.isclose(turned(query, 6) @ turned(key, 0), near[0], rtol=1e-2)


def test_each_row_may_have_positions_of_its_own() -> None:
    x = torch.randn(2, 3, 4, WIDTH)
    positions = torch.tensor([[0, 1, 2, 3], [0, 1, 0, 1]])
    found = rotation(positions, WIDTH, torch.float32)(x)
    for row in range(2):
        torch.testing.assert_close(found[row], rotation(positions[row], WIDTH, torch.float32)(x[row]))
