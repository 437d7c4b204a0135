"""FLOPs: sums done by hand, what PyTorch counts as a step runs, and peaks of known and unknown devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from modeling.config import ModelConfig
from modeling.network.batch import Batch
from modeling.network.flops import flops_per_token, forward_flops, known_peak, peak_flops
from modeling.network.transformer import MuseNet

PLAIN = {"layers": 2, "heads": 2, "d_model": 16, "context": 16, "vocabulary_size": 100, "structure": ()}
DENSE = {"mode": "dense"}


def config(**changes: Any) -> ModelConfig:
    return ModelConfig.model_validate({**PLAIN, "sparsity": DENSE, **changes})


def test_a_small_network_by_hand() -> None:
    found = forward_flops(config())
    assert found.projections == 2 * 2 * (16 * 48 + 16 * 16)  # layers, multiply and add, (q, k, v) and output
    assert found.feed_forward == 2 * 2 * (16 * 64 + 64 * 16)
    assert found.output == 2 * 16 * 100
    # 136 of 256 pairs; each takes a product of 8 numbers twice, in 2 heads of 2 layers; 16 tokens share them.
    assert found.attention == 136 * 2 * 2 * 8 * 2 * 2 / 16
    assert found.features == 0
    assert flops_per_token(config()) == 3 * found.total


def test_a_training_step_is_six_operations_for_each_weight_of_a_matrix() -> None:
    model = MuseNet(config())
    weights = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "position" not in name)
    assert flops_per_token(config()) - 3 * forward_flops(config()).attention == 6 * weights


def test_fewer_heads_of_keys_and_values_shrink_their_projection_alone() -> None:
    whole, grouped = forward_flops(config()), forward_flops(config(kv_heads=1))
    assert whole.projections - grouped.projections == 2 * 2 * 16 * 2 * 8
    assert grouped.attention == whole.attention


def test_an_untied_output_costs_the_same_and_waves_of_time_need_no_gradient() -> None:
    assert forward_flops(config(tied_output=False)) == forward_flops(config())
    with_time = config(structure=("time",))
    assert forward_flops(with_time).features == 2 * 64 * 16
    assert flops_per_token(with_time) - flops_per_token(config()) == 2 * forward_flops(with_time).features


def test_attention_counts_the_pairs_that_layouts_keep() -> None:
    def attention(**sparsity: Any) -> float:
        return forward_flops(config(layers=2, sparsity={"block": 4, "stride": 8, **sparsity})).attention

    per_pair = 2 * 2 * 16 / 16
    # Blocks of 4 with the one before: 10 pairs, then 3 times 16 + 10. Columns of stride 8: 8 of length 2.
    assert attention(mode="local") == 2 * (10 + 3 * 26) * per_pair
    assert attention(mode="strided") == ((10 + 3 * 26) + 8 * 3) * per_pair
    assert attention(mode="dense") == 2 * 136 * per_pair


def test_recomputing_activations_is_no_work_of_the_model() -> None:
    assert flops_per_token(config(recompute=True)) == flops_per_token(config())


def test_the_length_of_the_windows_counts_not_what_the_network_could_see() -> None:
    assert flops_per_token(config(context=64), 16) == flops_per_token(config())


def test_long_windows_need_no_mask_of_all_pairs() -> None:
    dense, strided = (
        forward_flops(config(context=32768, sparsity={"mode": mode, "block": 128, "stride": 128})).attention
        for mode in ("dense", "strided")
    )
    assert strided < dense / 50


def added_in_place(out: Any, left: Any, right: Any, **_: Any) -> int:
    """Operations of `addmm_`, from the shapes."""
    return int(2 * left[0] * left[1] * right[1])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"feed_forward": "swiglu"},
        {"d_ff": 96},
        {"kv_heads": 1},
        {"tied_output": False},
        {"structure": ("time", "chord"), "factored_notes": True},
        {"norm": "rms", "qk_norm": True, "positions": "rotary"},
    ],
    ids=lambda changes: ",".join(changes) or "plain",
)
def test_pytorch_counts_the_same_as_a_step_runs(changes: dict[str, Any], make_batch: Callable[..., Batch]) -> None:
    shape = config(**changes, vocabulary_size=5000, note_tokens=128)
    model = MuseNet(shape)
    batch = make_batch(3, 16)
    # The gradient of the output's table is added up in place, which the counter does not know by itself.
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: added_in_place}) as counter:
        model(batch, batch.tokens).backward()
    by_operation = {str(operation): count for operation, count in counter.get_flop_counts()["Global"].items()}
    attention = sum(count for name, count in by_operation.items() if "attention" in name)
    expected = flops_per_token(shape) - 3 * forward_flops(shape).attention
    assert sum(by_operation.values()) - attention == expected * 3 * 16


def test_peaks_of_known_accelerators() -> None:
    assert known_peak("NVIDIA H100 80GB HBM3") == known_peak("NVIDIA H200") == 989e12
    assert known_peak("NVIDIA H100 PCIe") == 756e12
    assert known_peak("NVIDIA A100-SXM4-80GB") == 312e12
    assert known_peak("NVIDIA A10G") != known_peak("NVIDIA A10")
    assert known_peak("NVIDIA GeForce GTX 1080") is None
    assert known_peak("NVIDIA H100 80GB HBM3 MIG 1g.10gb") is None


def test_an_unknown_device_is_measured_once() -> None:
    cpu = torch.device("cpu")
    peak = peak_flops(cpu, torch.float32)
    assert 1e9 < peak < 1e15
    assert peak_flops(cpu, torch.float32) == peak
