"""Fitting a critic: the head alone is trained, on states of the network that are computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from modeling.criticism.head import CriticConfig, CriticHead
from modeling.criticism.scoring import window_states
from modeling.network.transformer import MuseNet
from tokenization.encodings import Encoding
from tokenization.vocabulary import Tokens

BATCH = 16
"""Windows in one optimiser step."""


@dataclass(frozen=True)
class LabelledStates:
    """Windows as `window_states` returns them, with their labels."""

    states: Tensor
    """Shape (windows, tokens, d_model)."""
    music: Tensor
    """Shape (windows, tokens): True at positions that hold music."""
    real: Tensor
    """Shape (windows,): True for real pieces, False for generated ones."""


def label_states(
    model: MuseNet,
    encoding: Encoding,
    real: Sequence[Tokens],
    generated: Sequence[Tokens],
    lengths: Sequence[int],
    size: int,
) -> LabelledStates:
    """Return the network's states over the first `size` tokens of real pieces and of their generated counterparts.

    `lengths`: the tokens of each whole real piece, which are those planned for its counterpart.
    """
    states, music = window_states(model, encoding, [*real, *generated], [*lengths, *lengths], size)
    return LabelledStates(states, music, real=torch.arange(len(states)) < len(real))


@dataclass(frozen=True)
class CriticResult:
    """A fitted head and its accuracy on pieces it was not trained on."""

    head: CriticHead
    auc: float
    """Area under the ROC curve on held-out windows: 0.5 is chance, 1 is perfect."""
    train_auc: float
    held_out: int
    """Number of windows behind `auc`."""


def fit_critic(
    config: CriticConfig,
    train: LabelledStates,
    held_out: LabelledStates,
    seed: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> CriticResult:
    """Train a head and measure it on held-out windows. `on_progress` gets the epochs done and their total."""
    torch.manual_seed(seed)
    head = CriticHead(train.states.shape[-1], config.hidden).to(train.states.device)
    optimiser = torch.optim.AdamW(head.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    for epoch in range(config.epochs):
        order = torch.randperm(len(train.states))
        for first in range(0, len(order), BATCH):
            chosen = order[first : first + BATCH]
            logits = head(train.states[chosen], train.music[chosen])
            loss = binary_cross_entropy_with_logits(logits, train.real[chosen].float())
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        if on_progress is not None:
            on_progress(epoch + 1, config.epochs)
    return CriticResult(head.eval(), _auc(head, held_out), _auc(head, train), len(held_out.states))


@torch.inference_mode()
def _auc(head: CriticHead, windows: LabelledStates) -> float:
    scores = head(windows.states, windows.music)
    return float(roc_auc_score(windows.real.cpu().numpy(), scores.cpu().numpy()))
