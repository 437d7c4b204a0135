"""The critic: a network and a head on its states, with the calibration of its logits; and its files.

`critic.json` has the settings and the calibration, `critic.safetensors` the weights: nothing is unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from modeling.config.critic import CriticConfig
from modeling.criticism.calibration import Calibration, Values
from modeling.criticism.contrasts import GAINS, disarranged, gain_of, mean_losses, numbers_of
from modeling.criticism.figures import Estimate
from modeling.criticism.surprise import SURPRISE, surprise_of, with_recent
from modeling.criticism.windows import BATCH, Window, batch_of
from modeling.network.batch import Batch
from modeling.network.critic_head import CriticHead
from modeling.network.precision import in_half
from modeling.network.transformer import MuseNet
from modeling.network.weights import UNREADABLE, WeightsError, from_weights
from tokenization.encodings import HEADER, Encoding

CRITIC_CONFIG, CRITIC_WEIGHTS = "critic.json", "critic.safetensors"
CRITIC_FORMAT = 9
"""Format of a stored critic. 9: aspects; 8: surprise of the last tokens; 7: the order of bars; 6: more numbers of
surprise, and a head that may hear it alone; 5: its AUC; 4: a head that may hear surprise; 3: a logit at every position,
a calibration, and possibly a trunk."""
HEAD, TRUNK = "head.", "trunk."
"""Prefixes of the weights."""


class OtherFormat(WeightsError):
    """A critic that another version of musenet has written."""


class Heard(NamedTuple):
    """Windows as a head hears them, up to the end of the longest."""

    states: Tensor
    """The trunk's, shape (windows, size, d_model); for a head that hears none they have no units."""
    surprise: Tensor | None
    """Shape (windows, size, numbers): of the tokens, and the order of the window's bars at all of them."""
    music: Tensor
    """True at positions that hold music, shape (windows, size)."""


@dataclass(frozen=True)
class Critic:
    """A network, the head on its states and the calibration of the head's logits."""

    model: MuseNet
    """The network whose pieces are judged."""
    trunk: MuseNet
    """That network, or a copy that was tuned for the critic."""
    head: CriticHead
    config: CriticConfig
    calibration: Calibration = field(default_factory=Calibration)
    aspects: Mapping[str, Calibration] = field(default_factory=dict)
    """Of what it says of a window's aspects, by their names; none where they were not measured."""
    auc: Estimate | None = None
    """On held-out generations as the model is drawn from by default, beside real windows; None where not measured."""

    def inputs(self, windows: Sequence[Window], size: int, encoding: Encoding) -> Heard:
        """Return what the head hears of windows of `size` tokens.

        Surprise alone is computed in bfloat16 where the device multiplies it natively, twice as fast.
        """
        batch, music = batch_of(windows, size, encoding)
        longest = max(int(music.sum(1).max()), HEADER)
        batch, music = batch.slice(longest).to(self.trunk.norm.weight.device), music[:, :longest]
        if self.config.hears == "surprise":
            with torch.no_grad(), in_half(self.model.norm.weight.device):
                surprise = self._surprise(self.model.states(batch), batch, music, windows, size, encoding)
            return Heard(surprise[..., :0], surprise, music.to(surprise.device))
        states = self.trunk.states(batch)
        if self.config.hears == "states":
            return Heard(states, None, music.to(states.device))
        with torch.no_grad():
            own = states.detach() if self.trunk is self.model else self.model.states(batch)
            surprise = self._surprise(own, batch, music, windows, size, encoding)
        return Heard(states, surprise, music.to(states.device))

    def _surprise(
        self, states: Tensor, batch: Batch, music: Tensor, windows: Sequence[Window], size: int, encoding: Encoding
    ) -> Tensor:
        """Return what the head hears beside states, shape (windows, positions, numbers), by the model's `states`."""
        surprise = with_recent(surprise_of(self.model, states, batch))
        if not self.config.orders:
            return surprise
        losses, orders = mean_losses(surprise, music), self.config.orders
        order = numbers_of(gain_of(self.model, windows, losses, size, encoding, disarranged, orders), losses)
        return torch.cat([surprise, order[:, None].expand(-1, surprise.shape[1], -1)], dim=-1)

    def logits(self, heard: Heard) -> Tensor:
        """Return the head's logits at every position, shape (windows, size)."""
        logits: Tensor = self.head(heard.states, heard.music, surprise_btf=heard.surprise)
        return logits

    @torch.inference_mode()
    def hear(self, windows: Sequence[Window], encoding: Encoding) -> Values:
        """Return the logit behind every token of each window, shape (windows, window); NaN behind the window's end.

        Of a critic that hears the order of bars, all know that of the whole window: cut it to judge less of it.
        """
        self.trunk.eval()
        self.model.eval()
        found = []
        for first in range(0, len(windows), BATCH):
            heard = self.inputs(windows[first : first + BATCH], self.config.window, encoding)
            logits = torch.where(heard.music, self.logits(heard).double(), torch.nan).cpu()
            padding = torch.full((len(logits), self.config.window - logits.shape[1]), torch.nan, dtype=torch.float64)
            found.append(torch.cat([logits, padding], dim=1).numpy())
        return np.concatenate(found) if found else np.zeros((0, self.config.window))


def save_critic(critic: Critic, folder: Path, is_tuned: bool) -> None:
    """Write a critic into a folder, with its trunk if that `is_tuned`. Not atomic: write into a staging folder."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "format": CRITIC_FORMAT,
        "d_model": critic.head.d_model,
        "config": critic.config.model_dump(mode="json"),
        "calibration": asdict(critic.calibration),
        "aspects": {name: asdict(each) for name, each in critic.aspects.items()},
        "auc": None if critic.auc is None else asdict(critic.auc),
        "has_trunk": is_tuned,
    }
    (folder / CRITIC_CONFIG).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    parts = {HEAD: critic.head.state_dict(), TRUNK: critic.trunk.state_dict() if is_tuned else {}}
    weights = {
        prefix + name: tensor.detach().cpu().contiguous()
        for prefix, part in parts.items()
        for name, tensor in part.items()
    }
    save_file(weights, folder / CRITIC_WEIGHTS)


def load_critic(folder: Path, model: MuseNet) -> Critic:
    """Read the critic of a folder, in evaluation mode, on the device of its model. Raises WeightsError."""
    with _reading(folder):
        content = _read_content(folder)
        weights = load_file(folder / CRITIC_WEIGHTS)
        config = CriticConfig(**content["config"])
        head = new_head(content["d_model"], config)
        head.load_state_dict(_part(weights, HEAD))
        if head.d_model not in (0, model.config.d_model):
            raise ValueError(f"it hears {head.d_model} units of each state, the model has {model.config.d_model}")
        trunk = model
        if content["has_trunk"]:
            trunk = from_weights(model.config, _part(weights, TRUNK), model.norm.weight.device)
        calibration, estimate = Calibration(**content["calibration"]), _estimate(content)
        aspects = {name: Calibration(**each) for name, each in content["aspects"].items()}
    return Critic(model, trunk, head.to(model.norm.weight.device).eval(), config, calibration, aspects, estimate)


def read_head(folder: Path, d_model: int, config: CriticConfig) -> CriticHead | None:
    """Return the head of the critic of a folder, to be trained further on the states of a network that came from its
    own; None where there is none, it has another shape or format, or heard a trunk of its own. Raises WeightsError.
    """
    if not (folder / CRITIC_CONFIG).exists():
        return None
    with _reading(folder):
        try:
            content = _read_content(folder)
        except OtherFormat:
            return None
        own = CriticConfig(**content["config"])
        head = new_head(d_model, config)
        shape = (content["d_model"], own.hidden, own.hears, own.orders > 0)
        if content["has_trunk"] or shape != (head.d_model, config.hidden, config.hears, config.orders > 0):
            return None
        head.load_state_dict(_part(load_file(folder / CRITIC_WEIGHTS), HEAD))
        return head


def read_auc(folder: Path) -> Estimate | None:
    """Return the AUC of the critic of a folder, without its weights; None where it was not measured. Raises
    WeightsError."""
    try:
        return _estimate(_read_content(folder))
    except UNREADABLE as error:
        raise WeightsError(f"no critic can be read from {folder}: {error}") from error


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Turn errors of reading a critic's files into a WeightsError that names the folder."""
    try:
        yield
    except WeightsError:
        raise
    except UNREADABLE as error:
        raise WeightsError(f"no critic can be read from {folder}: {error}") from error


def _read_content(folder: Path) -> dict[str, Any]:
    content = dict(json.loads((folder / CRITIC_CONFIG).read_text(encoding="utf-8")))
    found = content.get("format", 1)
    if found != CRITIC_FORMAT:
        raise OtherFormat(
            f"{folder / CRITIC_CONFIG} has format {found}, this version of musenet reads format {CRITIC_FORMAT}: "
            "train the critic again and register the model"
        )
    return content


def _estimate(content: dict[str, Any]) -> Estimate | None:
    return None if content["auc"] is None else Estimate(**content["auc"])


def new_head(d_model: int, config: CriticConfig) -> CriticHead:
    """Return the head of a critic of these settings, untrained."""
    states = 0 if config.hears == "surprise" else d_model
    surprise = SURPRISE + (GAINS if config.orders else 0)
    return CriticHead(states, config.hidden, 0 if config.hears == "states" else surprise)


def _part(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
