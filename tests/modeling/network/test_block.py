"""One layer: what its variants cost and do."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from modeling.config import ModelConfig
from modeling.network.block import Attention, Block, FeedForward, feed_forward_size
from modeling.network.sparsity import Dense


def config(**changes: object) -> ModelConfig:
    shape = {"layers": 1, "heads": 4, "d_model": 64, "context": 16, "vocabulary_size": 50}
    return ModelConfig.model_validate({**shape, **changes})


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


class TestFeedForward:
    @pytest.mark.parametrize("width", [64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048])
    def test_a_gated_one_has_as_many_parameters(self, width: int) -> None:
        with torch.device("meta"):
            plain, gated = (config(d_model=width, feed_forward=name) for name in ("gelu", "swiglu"))
            assert size(FeedForward(gated)) >= size(FeedForward(plain))
            assert size(Block(gated, Dense())) == pytest.approx(size(Block(plain, Dense())), rel=0.01)

    def test_wide_ones_are_multiples_of_what_devices_like(self) -> None:
        assert [feed_forward_size(config(d_model=width, feed_forward="swiglu")) for width in (64, 256, 512, 1536)] == [
            171,
            688,
            1368,
            4096,
        ]

    def test_a_width_of_ones_own(self) -> None:
        feed = FeedForward(config(feed_forward="swiglu", d_ff=100))
        assert (feed.up_proj.out_features, feed.down_proj.in_features) == (200, 100)

    def test_half_the_keys_and_values_pay_for_half_a_width_inside(self) -> None:
        grouped = Block(config(heads=4, kv_heads=2, d_ff=9 * 64 // 2), Dense())
        assert size(grouped) == pytest.approx(size(Block(config(heads=4), Dense())), rel=0.001)

    def test_a_closed_gate_lets_nothing_through(self) -> None:
        feed = FeedForward(config(feed_forward="swiglu"))
        with torch.no_grad():
            feed.up_proj.weight[: feed.down_proj.in_features] = 0
            feed.up_proj.bias[: feed.down_proj.in_features] = 0
            feed.down_proj.bias.fill_(3.0)
        assert torch.equal(feed(torch.randn(2, 64)), torch.full((2, 64), 3.0))


class TestNorm:
    def test_rms_has_no_mean_and_no_bias(self) -> None:
        layer, rms = Block(config(), Dense()), Block(config(norm="rms"), Dense())
        assert isinstance(layer.feed_forward_norm, nn.LayerNorm)
        assert isinstance(rms.feed_forward_norm, nn.RMSNorm)
        assert size(layer) - size(rms) == 2 * 64
        x = torch.randn(3, 64)
        torch.testing.assert_close(
            rms.feed_forward_norm(x), x / x.square().mean(-1, keepdim=True).sqrt(), rtol=1e-4, atol=1e-5
        )


class TestAttention:
    def test_grouped_queries_need_fewer_keys_and_values(self) -> None:
        full, grouped = Attention(config(), Dense()), Attention(config(kv_heads=1), Dense())
        assert full.qkv_proj.out_features == 3 * 64
        assert grouped.qkv_proj.out_features == 64 + 2 * 16

    def test_grouped_queries_are_full_ones_with_the_same_keys(self) -> None:
        torch.manual_seed(0)
        full, grouped = Attention(config(), Dense()), Attention(config(kv_heads=2), Dense())
        with torch.no_grad():
            for whole, part in zip(full.qkv_proj.parameters(), grouped.qkv_proj.parameters()):
                queries, keys, values = part.split([64, 32, 32])
                shared = [x.unflatten(0, (2, 16)).repeat_interleave(2, 0).flatten(0, 1) for x in (keys, values)]
                whole.copy_(torch.cat([queries, *shared]))
        full.out_proj.load_state_dict(grouped.out_proj.state_dict())
        x = torch.randn(2, 10, 64)
        torch.testing.assert_close(grouped(x), full(x))

    def test_normalised_queries_do_not_grow_with_their_weights(self) -> None:
        torch.manual_seed(0)
        x = torch.randn(1, 10, 64) * 10
        for qk_norm in (True, False):
            attention = Attention(config(qk_norm=qk_norm), Dense())
            nn.init.zeros_(attention.qkv_proj.bias)
            before = attention(x)
            with torch.no_grad():
                attention.qkv_proj.weight[:128] *= 7
            assert torch.allclose(attention(x), before, atol=1e-3) is qk_norm
