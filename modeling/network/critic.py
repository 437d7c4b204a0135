"""The inner critic: the network itself says whether a window is from the data or one of its own generations.

The critic is a head on the trunk that wrote the generations. It is trained on twins: a real piece, and a
generation with the same header and planned length. So style, instruments and length tell it nothing; only
the music does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from modeling.config import StrictModel
from modeling.data.batches import collate
from modeling.network.transformer import MuseNet
from tokenization.encodings import Encoding
from tokenization.vocabulary import Tokens

BATCH = 16


class CriticConfig(StrictModel):
    """Shape and training of the critic's head."""

    window: int = 256
    """Tokens that the critic hears: a piece's first ones."""
    hidden: int = 64
    epochs: int = 60
    learning_rate: float = 1e-3
    weight_decay: float = 0.1


class CriticHead(nn.Module):
    """Attention pooling over the trunk's states, then a small network to one logit (positive: real)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attend = nn.Linear(width, 1)
        self.widen = nn.Linear(width, hidden)
        self.judge = nn.Linear(hidden, 1)

    def forward(self, states_btc: Tensor, heard_bt: Tensor) -> Tensor:
        """Logits of shape (batch,); `heard_bt` marks the positions that hold music."""
        states = self.norm(states_btc.float())
        weight = self.attend(states)[..., 0].masked_fill(~heard_bt, -torch.inf).softmax(-1)
        pooled = torch.einsum("bt,btc->bc", weight, states)
        out: Tensor = self.judge(torch.nn.functional.gelu(self.widen(pooled)))[:, 0]
        return out


@dataclass(frozen=True)
class Judged:
    """A trained head and how well it tells real from generated on pieces it was not trained on."""

    head: CriticHead
    auc: float
    """Area under the ROC curve on held-out pieces: 0.5 is guessing, 1 is always right."""
    train_auc: float
    held_out: int
    """Windows that `auc` was measured on."""


@torch.inference_mode()
def window_states(
    model: MuseNet,
    encoding: Encoding,
    pieces: Sequence[Tokens],
    lengths: Sequence[int],
    size: int,
    start: int = 0,
) -> tuple[Tensor, Tensor]:
    """The trunk's states over windows of `size` tokens, and which positions hold music.

    A window is a piece's header and its body from token `start` on. `lengths`: the tokens that each piece has in
    all, or was planned to have. Shapes (n, size, width) and (n, size).
    """
    model.eval()
    device = model.norm.weight.device
    states, heard = [], []
    for first in range(0, len(pieces), BATCH):
        cut = [tokens[: start + size] for tokens in pieces[first : first + BATCH]]
        batch, _ = collate(cut, [start] * len(cut), size, encoding, lengths[first : first + BATCH])
        states.append(model.states(batch.to(device)))
        heard.append((batch.tokens != encoding.vocabulary.pad).to(device))
    return torch.cat(states), torch.cat(heard)


def train_critic(
    config: CriticConfig,
    train: tuple[Tensor, Tensor, Tensor],
    held_out: tuple[Tensor, Tensor, Tensor],
    seed: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> Judged:
    """Train a head on (states, heard, is_real) and measure it on held-out pieces.

    The trunk stays as it is: its states are computed once, by `window_states`.
    """
    torch.manual_seed(seed)
    states, heard, real = train
    head = CriticHead(states.shape[-1], config.hidden).to(states.device)
    optimiser = torch.optim.AdamW(head.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    for epoch in range(config.epochs):
        order = torch.randperm(len(states))
        for first in range(0, len(order), BATCH):
            chosen = order[first : first + BATCH]
            loss = binary_cross_entropy_with_logits(head(states[chosen], heard[chosen]), real[chosen].float())
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        if on_progress is not None:
            on_progress(epoch + 1, config.epochs)
    return Judged(head.eval(), _auc(head, held_out), _auc(head, train), len(held_out[0]))


@torch.inference_mode()
def _auc(head: CriticHead, labelled: tuple[Tensor, Tensor, Tensor]) -> float:
    states, heard, real = labelled
    return float(roc_auc_score(real.cpu().numpy(), head(states, heard).cpu().numpy()))


@torch.inference_mode()
def score(
    model: MuseNet,
    head: CriticHead,
    encoding: Encoding,
    pieces: Sequence[Tokens],
    lengths: Sequence[int],
    size: int,
    start: int = 0,
) -> list[float]:
    """The probability, by the critic, that each piece is real, heard from body token `start` on."""
    states, heard = window_states(model, encoding, pieces, lengths, size, start)
    out: list[float] = head(states, heard).sigmoid().tolist()
    return out
