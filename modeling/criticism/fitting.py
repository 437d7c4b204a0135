"""Fitting a critic: the head, and if asked a copy of the whole network, learn to tell real windows from others."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from modeling.config.critic import CriticConfig
from modeling.criticism.critic import Critic, Heard, new_head
from modeling.criticism.lessons import Lessons
from modeling.criticism.windows import labels_of
from modeling.network.critic_head import CriticHead
from modeling.network.loss import critic_loss
from modeling.network.transformer import MuseNet

WARM_UP = 0.1
"""Share of the steps in which learning rates rise."""
LARGEST_GRADIENT = 1.0
LESSON_STREAM = 201
"""Random stream of the windows; weights and dropout have torch's."""


def fit_critic(
    start: Critic,
    lessons: Lessons,
    seed: int,
    on_progress: Callable[[int, float], None] | None = None,
) -> Critic:
    """Train a critic further, by its configuration, and return it; `start` is left as it is.

    `on_progress` gets the steps done and the loss of the last one, in nats per position.
    """
    config = start.config
    torch.manual_seed(seed)
    head = copy.deepcopy(start.head).train()
    is_tuned = config.trunk == "tuned"
    trunk = copy.deepcopy(start.trunk).train(is_tuned).requires_grad_(is_tuned)
    groups: list[dict[str, Any]] = [{"params": list(head.parameters()), "lr": config.learning_rate}]
    if is_tuned:
        groups.append({"params": list(trunk.parameters()), "lr": config.trunk_learning_rate})
    trained = [parameter for group in groups for parameter in group["params"]]
    optimiser = torch.optim.AdamW(groups, weight_decay=config.weight_decay, betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _learning_rate(step, config.steps))
    critic = Critic(start.model if is_tuned else trunk, trunk, head, config)
    distinct = -(-config.steps // config.repeats)
    kept: dict[int, _Lesson] = {}
    for step in range(config.steps):
        number = step % distinct
        lesson = kept.pop(number) if number in kept else _lesson(critic, lessons, seed, number)
        if step + distinct < config.steps:
            kept[number] = lesson
        logits, labels = critic.logits(lesson.heard), lesson.labels
        loss = critic_loss(logits, labels) / (labels >= 0).sum().clamp(min=1)
        if config.pairs:
            loss = loss + config.pairs * pair_loss(logits, labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained, LARGEST_GRADIENT)
        optimiser.step()
        schedule.step()
        if on_progress is not None:
            on_progress(step + 1, float(loss.detach()))
    head.eval()
    return Critic(start.model, trunk.eval() if is_tuned else start.trunk, head, config)


class _Lesson(NamedTuple):
    """The windows of a step as the head hears them, and their labels."""

    heard: Heard
    labels: Tensor


def _lesson(critic: Critic, lessons: Lessons, seed: int, number: int) -> _Lesson:
    """Return a batch of lessons, by its number."""
    windows = lessons.draw(critic.config.batch // 2, np.random.default_rng([seed, LESSON_STREAM, number]))
    heard = critic.inputs(windows, lessons.window, lessons.split.encoding)
    return _Lesson(heard, labels_of(windows, heard.music.cpu()).to(heard.music.device))


def new_critic(model: MuseNet, config: CriticConfig, seed: int, head: CriticHead | None = None) -> Critic:
    """Return an untrained critic of a model, or one with the head that the model was trained with.

    `head`: one that is trained already, on the states of the model's parent, to begin with instead.
    """
    torch.manual_seed(seed)
    if head is not None:
        return Critic(model, model, head.to(model.norm.weight.device), config)
    head = new_head(model.config.d_model, config)
    if model.critic is not None and model.config.critic == config.hidden and head.d_model:
        head.load_state_dict(model.critic.state_dict(), strict=False)
        if head.surprise_proj is not None:  # which it has not heard yet
            torch.nn.init.zeros_(head.surprise_proj.weight)
    return Critic(model, model, head.to(model.norm.weight.device).float(), config)


def pair_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean loss in nats of ranking windows in pairs of a real one and one that is not, a scalar.

    A logistic loss of the difference of their logits (Burges et al., "Learning to rank using gradient descent", 2005),
    at the positions at which both are judged. Both have one header, place and piece, so that nothing else counts.
    """
    is_judged = (labels[0::2] >= 0) & (labels[1::2] >= 0)
    losses = softplus(logits[1::2] - logits[0::2]) * is_judged
    return losses.sum() / is_judged.sum().clamp(min=1)


def _learning_rate(step: int, steps: int) -> float:
    """Return the factor of the learning rates: a linear rise, then a linear fall."""
    rise = max(WARM_UP * steps, 1.0)
    return min((step + 1) / rise, (steps - step) / max(steps - rise, 1.0), 1.0)
