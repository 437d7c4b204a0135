"""Critics as files: they come back bit for bit, and nothing damaged or of another format is read in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from modeling.criticism import CriticConfig, CriticHead, load_critic, save_critic
from modeling.criticism.weights import CRITIC_CONFIG, CRITIC_FORMAT, CRITIC_WEIGHTS
from modeling.network.weights import WeightsError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved critic."""
    save_critic(CriticHead(32, 8), CriticConfig(hidden=8, window=32), tmp_path / "critic")
    return tmp_path / "critic"


def test_it_comes_back_bit_for_bit(tmp_path: Path) -> None:
    config = CriticConfig(window=32, hidden=8, epochs=3)
    head = CriticHead(32, 8)
    save_critic(head, config, tmp_path / "critic")
    loaded, loaded_config = load_critic(tmp_path / "critic")
    assert loaded_config == config
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in head.state_dict().items())
    assert not loaded.training


@pytest.mark.parametrize("found", [None, 1, CRITIC_FORMAT + 1])
def test_another_format_is_refused_with_the_remedy(found: int | None, folder: Path) -> None:
    content = {"width": 32, "config": {"hidden": 8}} | ({} if found is None else {"format": found})
    (folder / CRITIC_CONFIG).write_text(json.dumps(content))
    with pytest.raises(WeightsError) as caught:
        load_critic(folder)
    assert str(caught.value) == (
        f"{folder / CRITIC_CONFIG} has format {found or 1}, this version of musenet reads format {CRITIC_FORMAT}: "
        "train the critic again and register the model"
    )


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def scramble(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[:16] = b"0123456789abcdef"
    path.write_bytes(data)


class TestDamage:
    @pytest.mark.parametrize("damage", [Path.unlink, cut, empty, scramble], ids=lambda damage: damage.__name__)
    @pytest.mark.parametrize("name", [CRITIC_CONFIG, CRITIC_WEIGHTS])
    def test_a_damaged_critic_is_refused(self, name: str, damage: Callable[[Path], None], folder: Path) -> None:
        damage(folder / name)
        with pytest.raises(WeightsError, match=r"no critic can be read from .*critic"):
            load_critic(folder)

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match="nowhere"):
            load_critic(tmp_path / "nowhere")

    @pytest.mark.parametrize(
        "content",
        [
            {"format": CRITIC_FORMAT},
            {"format": CRITIC_FORMAT, "d_model": 32, "config": {"hiden": 8}},
            {"format": CRITIC_FORMAT, "d_model": 16, "config": {"hidden": 8}},
            [],
        ],
    )
    def test_a_critic_of_another_shape(self, content: object, folder: Path) -> None:
        (folder / CRITIC_CONFIG).write_text(json.dumps(content))
        with pytest.raises(WeightsError):
            load_critic(folder)
