"""Critics as files: they come back bit for bit, with or without a trunk; nothing damaged is read in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from modeling.criticism import Calibration, Critic, Estimate, Window, load_critic, read_auc, read_head, save_critic
from modeling.criticism.critic import CRITIC_CONFIG, CRITIC_FORMAT, CRITIC_WEIGHTS
from modeling.data import Split
from modeling.network.transformer import MuseNet
from modeling.network.weights import WeightsError

CALIBRATION = Calibration(2.0, 0.1, 1.5, 0.3, -1.0, 0.2)
AUC = Estimate(0.8, 0.6, 0.9)


@pytest.fixture
def folder(make_critic: Callable[..., Critic], tmp_path: Path) -> Path:
    """A saved critic without a trunk of its own."""
    critic = make_critic()
    save_critic(replace(critic, calibration=CALIBRATION, auc=AUC), tmp_path / "critic", is_tuned=False)
    return tmp_path / "critic"


def test_it_comes_back_bit_for_bit(folder: Path, make_critic: Callable[..., Critic]) -> None:
    critic = make_critic()
    found = load_critic(folder, critic.trunk)
    assert found.trunk is critic.trunk
    assert (found.config, found.calibration, found.auc) == (critic.config, CALIBRATION, AUC)
    assert all(torch.equal(found.head.state_dict()[name], value) for name, value in critic.head.state_dict().items())


def test_its_auc_is_read_without_its_weights(folder: Path, make_critic: Callable[..., Critic], tmp_path: Path) -> None:
    (folder / CRITIC_WEIGHTS).unlink()
    assert read_auc(folder) == AUC
    save_critic(make_critic(), tmp_path / "unmeasured", is_tuned=False)
    assert read_auc(tmp_path / "unmeasured") is None
    with pytest.raises(WeightsError, match="no critic can be read from"):
        read_auc(tmp_path)


def test_a_tuned_trunk_is_stored_with_it(make_critic: Callable[..., Critic], tmp_path: Path) -> None:
    critic = make_critic()
    save_critic(critic, tmp_path / "critic", is_tuned=True)
    other = MuseNet(critic.trunk.config)
    found = load_critic(tmp_path / "critic", other)
    assert found.trunk is not other
    assert torch.equal(found.trunk.norm.weight, critic.trunk.norm.weight)


def test_every_token_of_a_window_has_a_logit_whatever_else_is_heard(
    make_critic: Callable[..., Critic], split: Split
) -> None:
    critic = make_critic()
    windows = [Window(piece, 0, len(piece)) for piece in (split.pieces * 2)[:20]]
    heard = critic.hear(windows, split.encoding)
    assert heard.shape == (20, 32)
    assert (~np.isnan(heard)).sum(1).tolist() == [min(len(window.tokens), 32) for window in windows]
    alone = critic.hear(windows[-1:], split.encoding)
    np.testing.assert_allclose(alone[0], heard[-1], atol=1e-5)


def test_its_head_goes_to_a_child_s_network_if_it_has_the_shape(
    folder: Path, make_critic: Callable[..., Critic], tmp_path: Path
) -> None:
    critic = make_critic()
    head = read_head(folder, critic.head.d_model, critic.config)
    assert head is not None
    assert all(torch.equal(head.state_dict()[name], value) for name, value in critic.head.state_dict().items())
    wider = critic.config.model_copy(update={"hidden": 2 * critic.config.hidden})
    assert read_head(folder, critic.head.d_model, wider) is None
    assert read_head(folder, 2 * critic.head.d_model, critic.config) is None
    save_critic(critic, tmp_path / "tuned", is_tuned=True)
    assert read_head(tmp_path / "tuned", critic.head.d_model, critic.config) is None, "it heard states of its own"
    assert read_head(tmp_path, critic.head.d_model, critic.config) is None, "there is none"
    cut(folder / CRITIC_WEIGHTS)
    with pytest.raises(WeightsError, match="no critic can be read from"):
        read_head(folder, critic.head.d_model, critic.config)


@pytest.mark.parametrize("found", [None, 2, CRITIC_FORMAT + 1])
def test_another_format_is_refused_with_the_remedy(
    found: int | None, folder: Path, make_critic: Callable[..., Critic]
) -> None:
    content = {"width": 32} | ({} if found is None else {"format": found})
    (folder / CRITIC_CONFIG).write_text(json.dumps(content))
    with pytest.raises(WeightsError) as caught:
        load_critic(folder, make_critic().trunk)
    assert str(caught.value) == (
        f"{folder / CRITIC_CONFIG} has format {found or 1}, this version of musenet reads format {CRITIC_FORMAT}: "
        "train the critic again and register the model"
    )
    critic = make_critic()
    assert read_head(folder, critic.head.d_model, critic.config) is None, "a child's critic begins anew"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [Path.unlink, cut, empty], ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", [CRITIC_CONFIG, CRITIC_WEIGHTS])
def test_a_damaged_critic_is_refused(
    name: str, damage: Callable[[Path], None], folder: Path, make_critic: Callable[..., Critic]
) -> None:
    damage(folder / name)
    with pytest.raises(WeightsError, match=r"no critic can be read from .*critic"):
        load_critic(folder, make_critic().trunk)


def test_a_critic_of_another_model_is_refused(
    folder: Path, make_critic: Callable[..., Critic], make_model: Callable[..., MuseNet]
) -> None:
    with pytest.raises(WeightsError, match="it hears 32 units of each state, the model has 16"):
        load_critic(folder, make_model(d_model=16))
