"""The ranking of candidates: by the critic, by the network's own likelihood, or not at all.

Unless a request says by what, only a critic that was measured to beat chance ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from infra.errors import UserError
from modeling.config import AskedRank, Rank
from modeling.criticism import Estimate, judge
from modeling.generation.bundle import ModelBundle
from modeling.generation.likelihood import mean_log_likelihoods
from tokenization.encodings import HEADER
from tokenization.vocabulary import Tokens


class NoCriticError(UserError):
    """Candidates that only a critic could rank, for a model that has none."""


@dataclass(frozen=True)
class Merit:
    """What is known of a candidate; higher is better."""

    score: float | None
    """The critic's probability that it is real; None without a critic."""
    likelihood: float | None
    """Mean log-likelihood in nats per token; None where it was not asked for."""
    curve: tuple[tuple[int, float], ...] = ()
    """Tokens up to the end of windows along the piece, and the critic's probability that each is real."""

    def key(self, rank: Rank) -> float:
        """Return the number by which it is ranked."""
        value = {"critic": self.score, "likelihood": self.likelihood, "none": 0.0}[rank]
        return 0.0 if value is None else value


def resolve_rank(asked: AskedRank, auc: Estimate | None) -> Rank:
    """Return by what candidates are ranked. `auc`: of the model's critic; None without one, or one not measured."""
    if asked != "auto":
        return asked
    return "critic" if auc is not None and auc.beats_chance else "none"


def check_rank(has_critic: bool, rank: AskedRank, candidates: int) -> None:
    """Raise NoCriticError if several candidates are to be ranked by a critic that is not there."""
    if rank == "critic" and candidates > 1 and not has_critic:
        raise NoCriticError(
            "the model has no critic to rank candidates by: take --rank likelihood or --rank none, or train one with "
            "`musenet critic --model` and register its run again"
        )


def merits(
    bundle: ModelBundle, pieces: Sequence[Tokens], lengths: Sequence[int], given: int, rank: Rank
) -> list[Merit]:
    """Return the merits of pieces behind their first `given` tokens, by windows over all that was composed.

    `lengths`: the tokens of each whole piece, as it is or as it was planned.
    """
    critic, encoding = bundle.critic, bundle.encoding
    likelihoods: Sequence[float | None] = [None] * len(pieces)
    if rank == "likelihood":
        start = max(given - HEADER, 0)
        likelihoods = mean_log_likelihoods(bundle.model, encoding, pieces, lengths, start)
    if critic is None:
        return [Merit(None, likelihood) for likelihood in likelihoods]
    # After a long prompt the continuation is heard, with a quarter of a window before it: up to there all are equal.
    start = max(given - HEADER - critic.config.window // 4, 0)
    judged = judge(critic, encoding, pieces, lengths, start)
    return [Merit(each.score, likelihood, tuple(each.curve)) for each, likelihood in zip(judged, likelihoods)]
