"""Configuration: what is misspelt or does not fit is refused where it is read, with the way to mend it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from infra.settings import SettingError
from modeling.config import (
    Leaks,
    ModelConfig,
    PresetError,
    RunConfig,
    RunFormatError,
    SparsityConfig,
    SplitLeaks,
    TrainingConfig,
    choose_preset,
    load_preset,
    preset_names,
    read_run_config,
    shape_difference,
    with_settings,
)

MODEL = {"layers": 2, "heads": 2, "d_model": 32, "context": 64}
TRAINING = {"steps": 10, "batch_size": 8, "micro_batch_size": 2, "learning_rate": 1e-3}


def run_config(ranks: int = 1, **training: int) -> RunConfig:
    return RunConfig.model_validate(
        {"dataset": "d", "folder": "f", "model": MODEL, "training": {**TRAINING, **training}, "world_size": ranks}
    )


class TestStrictness:
    @pytest.mark.parametrize(
        ("kind", "content"),
        [
            (SparsityConfig, {"mode": "dense", "blok": 16}),
            (ModelConfig, {**MODEL, "head": 2}),
            (ModelConfig, {**MODEL, "sparsity": {"local_blocks": 4}}),
            (TrainingConfig, {**TRAINING, "lr": 1e-3}),
        ],
    )
    def test_unknown_keys_are_refused(self, kind: type[BaseModel], content: dict[str, object]) -> None:
        with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
            kind.model_validate(content)

    def test_values_do_not_change(self) -> None:
        config = ModelConfig.model_validate(MODEL)
        with pytest.raises(ValidationError, match="frozen"):
            config.layers = 3  # type: ignore[misc]

    @pytest.mark.parametrize("mode", ["sparse", "Dense", ""])
    def test_unknown_layouts_are_refused(self, mode: str) -> None:
        with pytest.raises(ValidationError, match=r"'dense', 'fixed', 'strided', .* or 'bslongformer'"):
            SparsityConfig.model_validate({"mode": mode})

    @pytest.mark.parametrize("key", ["layers", "heads", "d_model", "context"])
    def test_a_shape_has_no_zero(self, key: str) -> None:
        with pytest.raises(ValidationError, match=key):
            ModelConfig.model_validate({**MODEL, key: 0})


class TestShape:
    def test_d_model_is_shared_among_the_heads(self) -> None:
        assert ModelConfig.model_validate({**MODEL, "heads": 4}).d_head == 8

    def test_heads_that_do_not_divide_d_model_are_refused(self) -> None:
        with pytest.raises(ValidationError, match="d_model 32 is not a multiple of heads 3"):
            ModelConfig.model_validate({**MODEL, "heads": 3})

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"heads": 4, "kv_heads": 3}, "heads 4 is not a multiple of kv_heads 3"),
            ({"d_model": 30, "positions": "rotary"}, "rotary positions need an even d_head, not 15"),
            ({"heads": 1, "sparsity": {"factors": "heads"}}, "factors=heads needs an even number of heads, not 1"),
            ({"structure": ["time", "part", "time"]}, "structure names an embedding twice"),
            (
                {"structure": ["beat"]},
                "'time', 'chord', 'part', 'countdown', 'style', 'instrumentation', 'metre', 'sounding', 'harmony' or "
                "'echo'",
            ),
        ],
    )
    def test_what_does_not_fit_together_is_refused(self, changes: dict[str, object], words: str) -> None:
        with pytest.raises(ValidationError, match=words):
            ModelConfig.model_validate({**MODEL, **changes})


class TestSparsity:
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ({"mode": "bigbird", "factors": "heads"}, "bigbird attention has no halves: factors=heads is for strided"),
            ({"mode": "strided", "factors": "merged"}, "strided attention takes factors=layers or factors=heads"),
            ({"mode": "fixed", "num_global_blocks": 3}, "num_local_blocks 4 is not a multiple of num_global_blocks 3"),
            (
                {"mode": "fixed", "num_different_global_patterns": 5, "different_layout_per_head": True},
                "num_different_global_patterns 5 is more than num_local_blocks / num_global_blocks = 4",
            ),
            ({"mode": "fixed", "num_different_global_patterns": 2}, "needs different_layout_per_head=true"),
            ({"global_block_indices": [0, 4], "global_block_end_indices": [2]}, "one end, behind it, for each"),
            ({"global_block_indices": [4], "global_block_end_indices": [4]}, "one end, behind it, for each"),
        ],
    )
    def test_what_does_not_fit_together_is_refused(self, content: dict[str, object], words: str) -> None:
        with pytest.raises(ValidationError, match=words):
            SparsityConfig.model_validate(content)

    def test_merged_halves_are_possible_where_blocks_are(self) -> None:
        assert SparsityConfig.model_validate({"mode": "fixed", "factors": "merged"}).factors == "merged"


class TestMixup:
    def test_needs_partners_in_the_micro_batch(self) -> None:
        content = {**TRAINING, "micro_batch_size": 1, "mixup": {"rate": 0.5}}
        with pytest.raises(ValidationError, match="micro_batch_size must be at least 2"):
            TrainingConfig.model_validate(content)


class TestRun:
    @pytest.mark.parametrize("ranks", [1, 2, 4])
    def test_ranks_that_share_the_batch_evenly(self, ranks: int) -> None:
        assert run_config(ranks).world_size == ranks

    @pytest.mark.parametrize(("ranks", "unit"), [(3, 6), (8, 16)])
    def test_ranks_that_do_not_are_refused(self, ranks: int, unit: int) -> None:
        with pytest.raises(ValidationError, match=f"batch_size 8 is not a multiple of .* = {unit}"):
            run_config(ranks)

    def test_micro_batches_that_do_not_add_up_are_refused(self) -> None:
        with pytest.raises(ValidationError, match=r"batch_size 8 is not a multiple of .* = 3"):
            run_config(micro_batch_size=3)

    def test_json_round_trip(self) -> None:
        config = run_config(2)
        assert RunConfig.model_validate_json(config.model_dump_json()) == config
        assert read_run_config(config.model_dump(mode="json")) == config
        assert config.dataset == Path("d")

    def test_one_of_the_unnumbered_format_is_refused_with_the_way_to_mend_it(self) -> None:
        model = {"layers": 2, "heads": 2, "width": 32, "context": 64}
        old = {"dataset": "d", "folder": "f", "model": model, "training": TRAINING, "ranks": 1}
        with pytest.raises(RunFormatError, match=r"has format 1, .* reads format 2: remove the run's folder and train"):
            read_run_config(old)


class TestParent:
    """What a run may change beside the model that it begins with, and what it says of the pieces that one knows."""

    @pytest.mark.parametrize(
        ("changes", "difference"),
        [
            ({}, ""),
            ({"dropout": 0.5, "recompute": True, "critic": 8}, ""),
            ({"vocabulary_size": 7, "note_tokens": 128}, ""),
            ({"context": 1024}, ""),
            ({"layers": 6}, "model.layers is 6, not 4"),
            ({"norm": "layer", "qk_norm": False}, "model.norm is layer, not rms, model.qk_norm is False, not True"),
            ({"positions": "learned"}, "model.positions is learned, not rotary"),
            ({"structure": ("time",)}, "model.structure is time, not chord,"),
            ({"kv_heads": 2}, "model.kv_heads is 2, not 4"),
            ({"kv_heads": 4}, ""),
            ({"sparsity": {"mode": "dense"}}, "model.sparsity.mode is dense, not strided"),
            ({"sparsity": {"block": 64, "stride": 32, "backend": "dense_mask"}}, ""),
        ],
    )
    def test_its_shape_is_that_of_the_run(self, changes: dict[str, object], difference: str) -> None:
        parent = load_preset("tiny").model
        child = ModelConfig.model_validate({**parent.model_dump(), **changes})
        found = shape_difference(parent, child)
        assert found.startswith(difference) if difference else not found

    def test_learned_positions_are_as_many_as_before(self) -> None:
        parent = load_preset("musenet").model
        longer = parent.model_copy(update={"context": 8192})
        assert shape_difference(parent, longer) == "model.context is 8192, not 4096"

    @pytest.mark.parametrize(
        ("validation", "test", "complete", "line"),
        [
            ((), (), True, ""),
            (
                ("a",),
                (),
                True,
                "1 of 3 validation pieces, or relatives of them, are among what the parent",
            ),
            (("a",), ("b", "c"), True, "1 of 3 validation pieces and 2 of 2 test pieces, or relatives"),
            (("a", "b", "c"), (), True, "no validation piece is clean"),
            (
                (),
                ("a",),
                True,
                "among what the parent was trained on: the validation pieces are clean",
            ),
            ((), (), False, "what the parent was trained on is not wholly known"),
            (("a",), (), False, "losses are given of the clean ones, and of all; what the parent"),
        ],
    )
    def test_the_leaks_are_said_in_one_line(
        self, validation: tuple[str, ...], test: tuple[str, ...], complete: bool, line: str, tmp_path: Path
    ) -> None:
        leaks = Leaks(
            complete=complete,
            validation=SplitLeaks(pieces=3, leaked=validation),
            test=SplitLeaks(pieces=2, leaked=test),
        )
        assert line in leaks.line if line else leaks.line == ""
        leaks.write(tmp_path)
        assert Leaks.read(tmp_path) == leaks
        assert Leaks.read(tmp_path / "nowhere") is None


class TestPresets:
    def test_they_are_named_small_to_large(self) -> None:
        assert preset_names() == ["sketch", "tiny", "starter", "small", "base", "musenet"]

    @pytest.mark.parametrize("name", preset_names())
    def test_each_one_loads_and_trains_on_one_rank(self, name: str) -> None:
        preset = load_preset(name)
        assert preset.name == name
        run = RunConfig(dataset=Path("d"), folder=Path("f"), model=preset.model, training=preset.training)
        assert run.training.warmup_steps < run.training.steps

    def test_musenet_has_the_published_shape(self) -> None:
        model = load_preset("musenet").model
        assert (model.layers, model.heads, model.context, model.sparsity.mode) == (72, 24, 4096, "dense")
        assert model.recompute
        assert not model.factored_notes

    def test_an_unknown_preset_lists_those_that_exist(self) -> None:
        with pytest.raises(
            PresetError, match="no preset 'huge'; there are: sketch, tiny, starter, small, base, musenet"
        ):
            load_preset("huge")


class TestSettings:
    def test_dotted_keys_change_a_preset(self) -> None:
        tiny = load_preset("tiny")
        steps, mode = tiny.training.steps, tiny.model.sparsity.mode
        assert mode != "dense"
        changed = with_settings(tiny, {"training.steps": steps + 1, "model.sparsity.mode": "dense"})
        assert changed.training.steps == steps + 1
        assert changed.model.sparsity.mode == "dense"
        assert changed.model.sparsity.block == tiny.model.sparsity.block
        assert with_settings(changed, {"training.steps": steps, "model.sparsity.mode": mode}) == tiny

    def test_may_be_several_joined_by_commas(self) -> None:
        text = {
            "model.sparsity.local_window_blocks": "4, 8",
            "model.structure": "time",
            "model.sparsity.mode": "variable",
        }
        changed = with_settings(load_preset("tiny"), text)
        assert changed.model.sparsity.local_window_blocks == (4, 8)
        assert changed.model.structure == ("time",)
        assert with_settings(changed, {"model.structure": ""}).model.structure == ()
        with pytest.raises(SettingError, match=r"^model\.sparsity\.local_window_blocks\.1 = 'x': "):
            with_settings(changed, {"model.sparsity.local_window_blocks": "4,x"})

    def test_text_is_read_as_the_setting_s_type(self) -> None:
        text = {"training.learning_rate": "3e-4", "model.recompute": "true", "training.max_minutes": "none"}
        changed = with_settings(load_preset("tiny"), text)
        assert changed.training.learning_rate == 3e-4
        assert changed.model.recompute is True
        assert changed.training.max_minutes is None

    @pytest.mark.parametrize(
        ("settings", "minutes"),
        [
            ({}, 4),
            ({"training.steps": "90"}, None),
            ({"training.steps": "90", "training.max_minutes": "7"}, 7),
            ({"training.seed": "1"}, 4),
        ],
    )
    def test_steps_that_are_given_lift_the_preset_s_time_limit(
        self, settings: dict[str, str], minutes: float | None
    ) -> None:
        assert choose_preset(load_preset("tiny"), settings).training.max_minutes == minutes

    def test_nothing_changes_nothing(self) -> None:
        assert with_settings(load_preset("small"), {}) == load_preset("small")

    @pytest.mark.parametrize(
        ("key", "nearest"),
        [
            ("training.step", "training.steps"),
            ("model.sparsity.blok", "model.sparsity.block"),
            ("learning_rate", "training.learning_rate"),
            ("training.steps.more", "training.steps"),
        ],
    )
    def test_a_misspelt_key_is_answered_with_the_nearest(self, key: str, nearest: str) -> None:
        with pytest.raises(SettingError, match=f"no setting '{key}'; nearest: '{nearest}'"):
            with_settings(load_preset("tiny"), {key: 1})

    @pytest.mark.parametrize("key", ["name", "model", "model.sparsity", "", "zzzzzz"])
    def test_what_is_no_setting_is_refused(self, key: str) -> None:
        with pytest.raises(SettingError, match=f"no setting '{key}'"):
            with_settings(load_preset("tiny"), {key: "x"})

    def test_a_value_that_does_not_fit_is_named_with_its_key(self) -> None:
        with pytest.raises(SettingError, match=r"training\.steps = 'many': .*integer"):
            with_settings(load_preset("tiny"), {"training.steps": "many"})

    def test_values_that_do_not_fit_each_other(self) -> None:
        tiny = load_preset("tiny")
        heads = tiny.model.d_model - 1
        with pytest.raises(SettingError, match=f"d_model {tiny.model.d_model} is not a multiple of heads {heads}"):
            with_settings(tiny, {"model.heads": str(heads)})

    def test_they_are_named_in_one_short_line(self) -> None:
        tiny = load_preset("tiny")
        d_model = tiny.model.heads * 8 + 1
        with pytest.raises(SettingError) as caught:
            with_settings(tiny, {"model.d_model": str(d_model)})
        assert str(caught.value) == f"model: d_model {d_model} is not a multiple of heads {tiny.model.heads}"

    @pytest.mark.parametrize("value", [[1, 2], {"more": 1}], ids=str)
    def test_of_a_value_that_does_not_fit_only_a_scalar_is_shown(self, value: object) -> None:
        with pytest.raises(SettingError, match=r"^training\.steps: .*integer$"):
            with_settings(load_preset("tiny"), {"training.steps": value})
