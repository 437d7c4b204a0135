"""Models as files: they come back bit for bit, and nothing damaged is read in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from modeling.config import ModelConfig
from modeling.network.batch import Batch
from modeling.network.transformer import MuseNet
from modeling.network.weights import (
    MODEL_CONFIG,
    MODEL_FORMAT,
    MODEL_WEIGHTS,
    WeightsError,
    load_model,
    round_weights,
    save_model,
    save_weights,
)

MakeModel = Callable[..., MuseNet]


@pytest.fixture
def folder(tmp_path: Path, make_model: MakeModel) -> Path:
    """A saved model."""
    save_model(make_model(), tmp_path / "model")
    return tmp_path / "model"


class TestModel:
    @pytest.mark.parametrize("factored", [True, False])
    @pytest.mark.parametrize("tied", [True, False])
    def test_it_comes_back_bit_for_bit(
        self, tied: bool, factored: bool, tmp_path: Path, make_model: MakeModel, make_batch: Callable[..., Batch]
    ) -> None:
        model = make_model(tied_output=tied, factored_notes=factored, dropout=0.1)
        save_model(model, tmp_path / "a" / "model")
        loaded = load_model(tmp_path / "a" / "model")
        assert loaded.config == model.config
        assert loaded.state_dict().keys() == model.state_dict().keys()
        assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in model.state_dict().items())
        assert (loaded.output is None) is tied
        assert not loaded.training
        states = [net.states(make_batch(1, 20)) for net in (loaded, model.eval())]
        assert torch.equal(*states)
        assert torch.equal(loaded.logits(states[0]), model.logits(states[1]))

    @pytest.mark.parametrize("mode", ["dense", "fixed", "variable", "bigbird"])
    def test_every_variant_comes_back(
        self, mode: str, tmp_path: Path, make_model: MakeModel, make_batch: Callable[..., Batch]
    ) -> None:
        changes = {"norm": "rms", "positions": "rotary", "feed_forward": "swiglu", "qk_norm": True, "kv_heads": 1}
        model = make_model(mode=mode, structure=("time",), **changes).eval()
        save_model(model, tmp_path)
        loaded = load_model(tmp_path)
        assert torch.equal(loaded.states(make_batch(1, 40)), model.states(make_batch(1, 40)))
        assert all(parameter.requires_grad for parameter in loaded.parameters())

    def test_weights_by_name_are_enough(self, tmp_path: Path, make_model: MakeModel) -> None:
        model = make_model()
        save_weights(model.config, {name: p.detach().clone() for name, p in model.named_parameters()}, tmp_path)
        assert torch.equal(load_model(tmp_path).norm.weight, model.norm.weight)

    def test_a_tied_output_is_stored_once(self, folder: Path, make_model: MakeModel) -> None:
        state = load_file(folder / MODEL_WEIGHTS)
        assert state.keys() == make_model(tied_output=False).state_dict().keys() - {"output.weight"}
        assert sum(tensor.numel() for tensor in state.values()) == make_model().parameter_count()

    def test_one_trained_in_16_bits_comes_back_in_32(self, tmp_path: Path, make_model: MakeModel) -> None:
        model = make_model().bfloat16()
        save_model(model, tmp_path)
        loaded = load_model(tmp_path)
        assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
        assert torch.equal(loaded.norm.weight, model.norm.weight.float())

    def test_the_shape_is_readable_json(self, folder: Path, make_model: MakeModel) -> None:
        content = json.loads((folder / MODEL_CONFIG).read_text())
        assert content.pop("format") == MODEL_FORMAT
        assert ModelConfig.model_validate(content) == make_model().config

    @pytest.mark.parametrize("found", [None, 1, MODEL_FORMAT + 1])
    def test_another_format_is_refused_with_the_way_to_mend_it(self, found: int | None, folder: Path) -> None:
        content = json.loads((folder / MODEL_CONFIG).read_text())
        del content["format"]
        if found is not None:
            content["format"] = found
        (folder / MODEL_CONFIG).write_text(json.dumps(content))
        with pytest.raises(WeightsError) as caught:
            load_model(folder)
        assert str(caught.value) == (
            f"{folder / MODEL_CONFIG} has format {found or 1}, this version of musenet reads format {MODEL_FORMAT}: "
            "train the model again and register it"
        )

    def test_saving_again_replaces(self, folder: Path, make_model: MakeModel) -> None:
        other = make_model(seed=1, layers=3)
        save_model(other, folder)
        assert torch.equal(
            load_model(folder).blocks[2].feed_forward.up_proj.weight, other.blocks[2].feed_forward.up_proj.weight
        )


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def scramble(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[:16] = b"0123456789abcdef"
    path.write_bytes(data)


DAMAGES = [Path.unlink, cut, empty, scramble]


class TestDamage:
    @pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
    @pytest.mark.parametrize("name", [MODEL_CONFIG, MODEL_WEIGHTS])
    def test_a_damaged_model_is_refused(self, name: str, damage: Callable[[Path], None], folder: Path) -> None:
        damage(folder / name)
        with pytest.raises(WeightsError, match=r"no model can be read from .*model"):
            load_model(folder)

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match="nowhere"):
            load_model(tmp_path / "nowhere")

    def test_weights_of_another_shape(self, folder: Path, tmp_path: Path, make_model: MakeModel) -> None:
        save_model(make_model(d_model=16), tmp_path / "other")
        (tmp_path / "other" / MODEL_WEIGHTS).replace(folder / MODEL_WEIGHTS)
        with pytest.raises(WeightsError, match="size mismatch"):
            load_model(folder)

    @pytest.mark.parametrize(
        "missing", ["embeddings.token.own", "embeddings.token.row", "blocks.1.feed_forward.up_proj.bias"]
    )
    def test_a_tensor_that_is_missing(self, missing: str, folder: Path) -> None:
        state = load_file(folder / MODEL_WEIGHTS)
        del state[missing]
        save_file(state, folder / MODEL_WEIGHTS)
        with pytest.raises(WeightsError, match=missing.replace(".", r"\.")):
            load_model(folder)

    def test_a_shape_with_settings_that_do_not_exist(self, folder: Path) -> None:
        content = json.loads((folder / MODEL_CONFIG).read_text())
        (folder / MODEL_CONFIG).write_text(json.dumps({**content, "experts": 8}))
        with pytest.raises(WeightsError, match="experts"):
            load_model(folder)


class TestRounding:
    def test_halves_the_file_and_moves_no_weight_far(self, folder: Path, make_model: MakeModel) -> None:
        second = folder.parent / "second"
        second.mkdir()
        for file in folder.iterdir():
            (second / file.name).hardlink_to(file)
        before = (folder / MODEL_WEIGHTS).stat().st_size
        round_weights(second)
        assert (second / MODEL_WEIGHTS).stat().st_size < 0.6 * before
        assert (folder / MODEL_WEIGHTS).stat().st_size == before, "the file of the same content stays"
        rounded, whole = load_model(second), make_model()
        assert all(parameter.dtype == torch.float32 for parameter in rounded.parameters())
        for name, weight in whole.state_dict().items():
            torch.testing.assert_close(rounded.state_dict()[name], weight, rtol=2**-11, atol=1e-7)

    def test_refuses_weights_that_are_too_large(self, folder: Path) -> None:
        state = load_file(folder / MODEL_WEIGHTS)
        save_file({**state, "norm.weight": state["norm.weight"] + 1e5}, folder / MODEL_WEIGHTS)
        with pytest.raises(WeightsError, match="that 16 bits cannot hold"):
            round_weights(folder)
