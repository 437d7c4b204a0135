"""A critic as files: `critic.json` (shape and settings), `critic.safetensors` (weights), nothing to unpickle."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from modeling.criticism.head import CriticConfig, CriticHead
from modeling.network.weights import UNREADABLE, WeightsError

CRITIC_CONFIG, CRITIC_WEIGHTS = "critic.json", "critic.safetensors"
CRITIC_FORMAT = 2
"""Format of a stored critic. 2: the key `d_model`, and the weights `attention`, `up_proj` and `out_proj`; format 1 was
not numbered."""


def save_critic(head: CriticHead, config: CriticConfig, folder: Path) -> None:
    """Write a critic into a folder. Not atomic: write into a staging folder."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"format": CRITIC_FORMAT, "d_model": head.d_model, "config": config.model_dump()}
    (folder / CRITIC_CONFIG).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    save_file({name: tensor.detach().cpu() for name, tensor in head.state_dict().items()}, folder / CRITIC_WEIGHTS)


def load_critic(folder: Path, device: torch.device | str = "cpu") -> tuple[CriticHead, CriticConfig]:
    """Read the critic of a folder, in evaluation mode. Raises WeightsError."""
    try:
        content = dict(json.loads((folder / CRITIC_CONFIG).read_text(encoding="utf-8")))
        found = content.get("format", 1)
        if found != CRITIC_FORMAT:
            raise WeightsError(
                f"{folder / CRITIC_CONFIG} has format {found}, this version of musenet reads format {CRITIC_FORMAT}: "
                "train the critic again and register the model"
            )
        state = load_file(folder / CRITIC_WEIGHTS)
        config = CriticConfig(**content["config"])
        head = CriticHead(content["d_model"], config.hidden)
        head.load_state_dict(state)
    except WeightsError:
        raise
    except UNREADABLE as error:
        raise WeightsError(f"no critic can be read from {folder}: {error}") from error
    return head.to(device).eval(), config
