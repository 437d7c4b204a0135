"""The critic: a network and a head on its states, with the calibration of its logits; and its files.

`critic.json` has the settings and the calibration, `critic.safetensors` the weights: nothing is unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from modeling.config.critic import CriticConfig
from modeling.criticism.calibration import Calibration, Values
from modeling.criticism.figures import Estimate
from modeling.criticism.surprise import SURPRISE, surprise_of
from modeling.criticism.windows import Window, batch_of
from modeling.network.batch import Batch
from modeling.network.critic_head import CriticHead
from modeling.network.transformer import MuseNet
from modeling.network.weights import UNREADABLE, WeightsError, from_weights
from tokenization.encodings import HEADER, Encoding

CRITIC_CONFIG, CRITIC_WEIGHTS = "critic.json", "critic.safetensors"
CRITIC_FORMAT = 6
"""Format of a stored critic. 6: more numbers of surprise, and a head that may hear it alone; 5: its AUC; 4: a head that
may hear the model's surprise; 3: a logit at every position, a calibration, and possibly a trunk of its own."""
BATCH = 16
"""Windows in one forward pass."""
HEAD, TRUNK = "head.", "trunk."
"""Prefixes of the weights."""


class OtherFormat(WeightsError):
    """A critic that another version of musenet has written."""


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
    auc: Estimate | None = None
    """On held-out generations as the model is drawn from by default, beside real windows; None where not measured."""

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return what the head hears of windows: the trunk's states, shape (windows, size, d_model), and surprise.

        For a head that hears no states they have no units.
        """
        batch = batch.to(self.trunk.norm.weight.device)
        states = self.trunk.states(batch)
        if self.config.hears == "states":
            return states, None
        with torch.no_grad():
            own = states.detach() if self.trunk is self.model else self.model.states(batch)
            return states[..., : self.head.d_model], surprise_of(self.model, own, batch)

    def logits(self, batch: Batch, music: Tensor) -> Tensor:
        """Return the head's logits at every position, shape (windows, size)."""
        states, surprise = self.inputs(batch)
        logits: Tensor = self.head(states, music.to(states.device), surprise_btf=surprise)
        return logits

    @torch.inference_mode()
    def hear(self, windows: list[Window], encoding: Encoding) -> Values:
        """Return the logit behind every token of each window, shape (windows, window); NaN behind the window's end."""
        self.trunk.eval()
        self.model.eval()
        found = []
        for first in range(0, len(windows), BATCH):
            batch, music = batch_of(windows[first : first + BATCH], self.config.window, encoding)
            longest = max(int(music.sum(1).max()), HEADER)
            logits = self.logits(batch.slice(longest), music[:, :longest]).double().cpu()
            missing = torch.nan_to_num(torch.where(music[:, :longest], 0.0, torch.inf), posinf=torch.nan)
            padding = torch.full((len(logits), self.config.window - longest), torch.nan, dtype=torch.float64)
            found.append(torch.cat([logits + missing, padding], dim=1).numpy())
        return np.concatenate(found) if found else np.zeros((0, self.config.window))


def save_critic(critic: Critic, folder: Path, is_tuned: bool) -> None:
    """Write a critic into a folder, with its trunk if that `is_tuned`. Not atomic: write into a staging folder."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "format": CRITIC_FORMAT,
        "d_model": critic.head.d_model,
        "config": critic.config.model_dump(mode="json"),
        "calibration": asdict(critic.calibration),
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
    return Critic(model, trunk, head.to(model.norm.weight.device).eval(), config, calibration, estimate)


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
        shape = (content["d_model"], own.hidden, own.hears)
        if content["has_trunk"] or shape != (head.d_model, config.hidden, config.hears):
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
    return CriticHead(states, config.hidden, 0 if config.hears == "states" else SURPRISE)


def _part(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
