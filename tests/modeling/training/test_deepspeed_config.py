"""DeepSpeed's settings: what comes with the package, what is refused, and what a run adds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from deepspeed.runtime.config import DeepSpeedConfig
from deepspeed.runtime.zero.config import DeepSpeedZeroConfig
from pydantic import ValidationError

from modeling.config import TrainingConfig
from modeling.training.deepspeed_config import (
    DeepSpeedSettings,
    SettingsError,
    ZeroSettings,
    build_deepspeed_config,
    load_settings,
)

TRAINING = TrainingConfig(steps=10, batch_size=24, micro_batch_size=3, learning_rate=1e-3, gradient_clipping=0.7)


def written(folder: Path, content: Any) -> Path:
    path = folder / "settings.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


class TestFiles:
    @pytest.mark.parametrize("offload", [False, True])
    @pytest.mark.parametrize("stage", [1, 2, 3])
    def test_there_is_one_for_each_stage_and_offloading(self, stage: int, offload: bool) -> None:
        zero = load_settings(stage, offload).zero_optimization
        assert zero.stage == stage
        assert (zero.offload_optimizer is not None) is offload
        assert (zero.offload_param is not None) is (offload and stage == 3)

    @pytest.mark.parametrize("stage", [1, 2, 3])
    def test_deepspeed_reads_all_of_it(self, stage: int) -> None:
        content = build_deepspeed_config(load_settings(stage, True), TRAINING, world_size=1, bf16=True)
        understood = DeepSpeedConfig(content).zero_config
        for key, value in content["zero_optimization"].items():
            known = getattr(understood, key.removeprefix("stage3_"))
            assert known == value if not isinstance(value, dict) else known.device == value["device"]

    def test_every_key_is_one_that_deepspeed_knows(self) -> None:
        # DeepSpeed ignores keys that it does not know: a name of ours that is wrong would go unnoticed.
        fields = DeepSpeedZeroConfig.model_fields
        known = {field.alias or name for name, field in fields.items()}
        assert known >= set(ZeroSettings.model_fields)


class TestRefusals:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ({"zero_optimization": {"stage": 1}, "wall_clock": True}, "no setting 'wall_clock'"),
            ({"zero_optimisation": {"stage": 1}}, "no setting 'zero_optimisation'; nearest: 'zero_optimization'"),
            (
                {"zero_optimization": {"stage": 1, "overlap_com": True}},
                "no setting 'zero_optimization.overlap_com'; nearest: 'zero_optimization.overlap_comm'",
            ),
            (
                {"zero_optimization": {"stage": 1, "offload_optimizer": {"device": "cpu", "pin": True}}},
                "'zero_optimization.offload_optimizer.pin'; nearest: 'zero_optimization.offload_optimizer.pin_memory'",
            ),
            ({"zero_optimization": {"stage": 0}}, "zero_optimization.stage"),
            ({"zero_optimization": {"stage": 1, "reduce_bucket_size": 0}}, "zero_optimization.reduce_bucket_size"),
            ({"zero_optimization": {"stage": 1, "sub_group_size": 5}}, "sub_group_size has no effect in stage 1"),
            (
                {"zero_optimization": {"stage": 2}},
                "is for zero_stage=2 and offload=false, the run has zero_stage=1 and offload=false",
            ),
            ({}, "zero_optimization"),
            ([1], "dictionary"),
            ("{", "not a JSON file"),
        ],
    )
    def test_name_the_file_and_the_key(self, tmp_path: Path, content: Any, message: str) -> None:
        path = written(tmp_path, content)
        with pytest.raises(SettingsError) as error:
            load_settings(1, False, path)
        assert str(error.value).startswith(f"{path}: ")
        assert message in str(error.value)
        assert "\n" not in str(error.value)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"none\.json: cannot be read \(No such file"):
            load_settings(1, False, tmp_path / "none.json")

    def test_a_key_of_the_first_stages_in_the_third(self) -> None:
        with pytest.raises(ValidationError, match="allgather_bucket_size has no effect in stage 3"):
            ZeroSettings.model_validate({"stage": 3, "allgather_bucket_size": 1})


class TestCompletion:
    def test_batches_add_up(self) -> None:
        found = build_deepspeed_config(load_settings(2, False), TRAINING, world_size=2, bf16=False)
        assert (found["train_batch_size"], found["train_micro_batch_size_per_gpu"]) == (24, 3)
        assert found["gradient_accumulation_steps"] == 4
        assert (found["gradient_clipping"], found["bf16"]) == (0.7, {"enabled": False})
        assert found["zero_optimization"]["stage"] == 2

    def test_what_the_file_says_stays(self, tmp_path: Path) -> None:
        zero = {"stage": 1, "reduce_bucket_size": 12345}
        path = written(tmp_path, {"zero_optimization": zero, "communication_data_type": "fp32"})
        found = build_deepspeed_config(load_settings(1, False, path), TRAINING, world_size=1, bf16=True)
        assert (found["zero_optimization"], found["communication_data_type"]) == (zero, "fp32")

    def test_accumulated_gradients_are_summed_in_32_bits(self) -> None:
        settings = load_settings(1, False)
        assert build_deepspeed_config(settings, TRAINING, world_size=2, bf16=True)["data_types"] == {
            "grad_accum_dtype": "fp32"
        }
        assert "data_types" not in build_deepspeed_config(settings, TRAINING, world_size=8, bf16=True)
        assert "data_types" not in build_deepspeed_config(settings, TRAINING, world_size=2, bf16=False)

    @pytest.mark.parametrize("stage", [1, 3])
    def test_muon_is_not_clipped_and_sees_whole_gradients(self, stage: int) -> None:
        training = TRAINING.model_copy(update={"optimiser": "muon"})
        found = build_deepspeed_config(load_settings(stage, False), training, world_size=1, bf16=False)
        assert found["gradient_clipping"] == 0.0
        assert found["zero_optimization"]["reduce_scatter"] is False

    def test_settings_are_immutable(self) -> None:
        with pytest.raises(ValidationError):
            DeepSpeedSettings.model_validate({"zero_optimization": {"stage": 1}}).communication_data_type = "fp32"  # type: ignore[misc]
