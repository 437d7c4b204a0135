"""AdamW and Muon under DeepSpeed, and the schedule of their learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import deepspeed
import pytest
import torch
from deepspeed.runtime.zero.muon import original_muon
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from modeling.config import TrainingConfig
from modeling.network.transformer import MuseNet
from modeling.training.checkpoints import full_state_dict
from modeling.training.deepspeed_config import build_deepspeed_config, load_settings
from modeling.training.optimisers import MUON_MOMENTUM, build_optimiser, build_schedule, learning_rate_factor
from modeling.training.process_group import quiet

TRAINING = TrainingConfig(
    steps=100, batch_size=4, micro_batch_size=2, learning_rate=0.01, warmup_steps=10, final_learning_rate=0.2
)

DEEPSPEED_DTYPE = original_muon.ns_compute_dtype


def having(**changes: Any) -> TrainingConfig:
    return TrainingConfig.model_validate({**TRAINING.model_dump(), **changes})


class TestSchedule:
    def test_a_cosine_falls_from_the_warm_up_to_the_end(self) -> None:
        training = having(steps=110)
        factors = [learning_rate_factor(step, training) for step in range(111)]
        assert factors[:10] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
        assert factors[10] == 1.0
        assert factors[60] == pytest.approx(0.6)  # half of the way from 1 to 0.2
        assert factors[110] == pytest.approx(0.2)

    def test_wsd_is_stable_and_then_falls_in_a_line(self) -> None:
        training = having(schedule="wsd", decay=0.4)
        factors = [learning_rate_factor(step, training) for step in range(101)]
        assert factors[9:61] == [1.0] * 52
        assert factors[80] == pytest.approx(0.6)  # half of the decay: half of the way from 1 to 0.2
        assert factors[100] == pytest.approx(0.2)

    @given(
        st.sampled_from(["cosine", "wsd"]),
        st.integers(1, 200),
        st.integers(0, 250),
        st.floats(0, 1),
        st.floats(0.01, 1),
    )
    def test_it_rises_through_the_warm_up_and_never_after_it(
        self, schedule: str, steps: int, warmup: int, floor: float, decay: float
    ) -> None:
        training = having(schedule=schedule, steps=steps, warmup_steps=warmup, final_learning_rate=floor, decay=decay)
        factors = [learning_rate_factor(step, training) for step in range(steps + 3)]
        assert all(0 <= factor <= 1 for factor in factors)
        assert factors[:warmup] == sorted(factors[:warmup])
        assert factors[warmup:] == sorted(factors[warmup:], reverse=True)
        if warmup < steps:
            assert factors[steps:] == pytest.approx([floor] * 3)


class TestGroups:
    def test_adamw_decays_matrices_and_not_vectors(self, make_model: Callable[..., MuseNet]) -> None:
        model = make_model()
        optimiser = build_optimiser(model, having(weight_decay=0.3))
        dimensions = {group["weight_decay"]: {p.ndim for p in group["params"]} for group in optimiser.param_groups}
        assert dimensions == {0.3: {2}, 0.0: {1}}
        assert sum(p.numel() for group in optimiser.param_groups for p in group["params"]) == model.parameter_count()

    def test_muon_takes_the_matrices_inside_the_blocks(self, make_model: Callable[..., MuseNet]) -> None:
        model = make_model(tied_output=False)
        muon, matrices, vectors = build_optimiser(model, having(optimiser="muon")).param_groups
        names = {id(p): name for name, p in model.named_parameters()}
        taken = {names[id(p)] for p in muon["params"]}
        assert taken == {name for name, p in model.named_parameters() if name.startswith("blocks.") and p.ndim == 2}
        others = {names[id(p)] for p in matrices["params"]}
        assert {"output.weight", "embeddings.token.own"} <= others
        assert {p.ndim for p in vectors["params"]} == {1}
        assert len(taken) + len(others) + len(vectors["params"]) == len(names)


class Tower(nn.Module):
    """A table and three matrices of other shapes; its loss is linear in the last one."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.table = nn.Parameter(torch.randn(5, 12))
        self.blocks = nn.Sequential(*(nn.Linear(m, n, bias=False) for m, n in ((12, 30), (30, 8), (8, 8))))

    def forward(self, x_bt: Tensor) -> Tensor:
        x = self.table[x_bt]
        for block in self.blocks:
            x = block(x).tanh()
        return x.square().mean()


def engine_of(model: nn.Module, training: TrainingConfig) -> deepspeed.DeepSpeedEngine:
    optimiser = build_optimiser(model, training)
    settings = build_deepspeed_config(
        load_settings(training.zero_stage, training.offload), training, world_size=1, bf16=False
    )
    with quiet():
        engine, *_ = deepspeed.initialize(
            model=model, optimizer=optimiser, lr_scheduler=build_schedule(optimiser, training), config=settings
        )
    return engine


def weights_after(steps: int, training: TrainingConfig) -> dict[str, Tensor]:
    engine = engine_of(Tower(), training)
    for step in range(steps):
        for x in torch.arange(12).view(2, 2, 3).add(step).remainder(5):  # two micro-batches
            engine.backward(engine(x))
            engine.step()
    state = full_state_dict(engine)
    engine.destroy()
    assert state is not None
    return state


def orthogonalised(matrix: Tensor) -> Tensor:
    """Five quintic Newton-Schulz iterations (Jordan et al., 2024), in 64 bits."""
    x: Tensor = matrix.double() / matrix.double().norm()
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x


@pytest.mark.usefixtures("one_rank")
class TestMuon:
    training = having(optimiser="muon", learning_rate=0.01, muon_learning_rate=0.1, warmup_steps=0, weight_decay=0.5)

    @pytest.mark.parametrize("offload", [False, True])
    @pytest.mark.parametrize("stage", [1, 2, 3])
    def test_steps_are_those_of_the_reference(self, stage: int, offload: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(original_muon, "ns_compute_dtype", lambda _: torch.float32)  # 16 bits are close, not equal
        training = self.training.model_copy(update={"zero_stage": stage, "offload": offload})
        found = weights_after(3, training)
        tower = Tower()
        blocks = {name: weight for name, weight in tower.named_parameters() if name != "table"}
        momentum = {name: torch.zeros_like(weight) for name, weight in blocks.items()}
        rest = torch.optim.AdamW([tower.table], lr=0.01, betas=(0.9, 0.95), weight_decay=0.5)
        for step in range(3):
            tower.zero_grad()
            tower(torch.arange(12).view(4, 3).add(step).remainder(5)).backward()
            factor = learning_rate_factor(step, training)
            for name, weight in blocks.items():
                gradient = weight.grad
                assert gradient is not None
                momentum[name].lerp_(gradient, 1 - MUON_MOMENTUM)
                update = orthogonalised(gradient.lerp(momentum[name], MUON_MOMENTUM))
                update *= math.sqrt(max(1, weight.shape[0] / weight.shape[1]))
                with torch.no_grad():
                    weight.mul_(1 - 0.1 * factor * 0.5).sub_(0.1 * factor * update)
            rest.param_groups[0]["lr"] = 0.01 * factor
            rest.step()
        torch.testing.assert_close(found["table"], tower.table.detach(), rtol=1e-4, atol=1e-4)
        for name, weight in blocks.items():
            torch.testing.assert_close(found[name], weight.detach(), rtol=2e-3, atol=2e-3)

    @pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
    def test_rounds_to_bf16_only_where_the_processor_multiplies_it(
        self, native: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(original_muon, "ns_compute_dtype", DEEPSPEED_DTYPE)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})
        build_optimiser(Tower(), self.training)
        assert original_muon.ns_compute_dtype("standard") is expected

    def test_the_schedule_moves_both_learning_rates(self) -> None:
        engine = engine_of(Tower(), self.training.model_copy(update={"warmup_steps": 2}))
        found = [engine.get_lr()]
        for x in torch.arange(12).view(2, 2, 3).remainder(5):
            engine.backward(engine(x))
            engine.step()
        found.append(engine.get_lr())
        engine.destroy()
        assert found == [[0.05, 0.005], [0.1, 0.01]]

    def test_an_update_has_singular_values_near_one(self) -> None:
        before = Tower().state_dict()["blocks.0.weight"]
        after = weights_after(1, self.training.model_copy(update={"weight_decay": 0.0}))["blocks.0.weight"]
        values = torch.linalg.svdvals((before - after) / 0.1) / math.sqrt(30 / 12)
        # The gradient has the rank of the six positions at most; the coefficients leave values between 0.7 and 1.2.
        assert values[0] < 1.3
        assert values[4] > 0.5


@pytest.mark.usefixtures("one_rank")
class TestAdamW:
    @pytest.mark.parametrize("offload", [False, True])
    @pytest.mark.parametrize("stage", [1, 2, 3])
    def test_steps_are_those_of_torch(self, stage: int, offload: bool) -> None:
        training = having(zero_stage=stage, offload=offload, gradient_clipping=0.01, warmup_steps=2)
        found = weights_after(3, training)
        tower = Tower()
        plain = build_optimiser(tower, training)
        schedule = build_schedule(plain, training)
        for step in range(3):
            plain.zero_grad()
            tower(torch.arange(12).view(4, 3).add(step).remainder(5)).backward()
            nn.utils.clip_grad_norm_(tower.parameters(), 0.01)
            plain.step()
            schedule.step()
        for name, weight in tower.named_parameters():
            torch.testing.assert_close(found[name], weight.detach(), rtol=1e-3, atol=1e-5)
