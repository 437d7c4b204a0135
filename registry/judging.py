"""Judging: what the critic of a model says of music, whoever wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.errors import UserError
from tokenization.midi.notes import Notes

if TYPE_CHECKING:
    from modeling.generation import ModelBundle

MOST_WINDOWS = 64
"""Windows of a file that are judged, evenly spread over it where it has more."""
STYLE = "style"
"""The aspect that only music of a known style has."""


@dataclass(frozen=True)
class Judged:
    """What a critic says of a piece."""

    score: float
    """Probability that it is real, rather than the model's own or damaged."""
    aspects: dict[str, float]
    """Probability that its bars are in order (`order`), that each instrument plays what is its own (`instruments`), and
    that it is in its style (`style`); those that were not measured, and of which nothing can be said, are left out."""
    curve: list[tuple[float, float]]
    """Seconds up to the end of each window, and the probability that the window is real."""

    @property
    def weakest(self) -> tuple[float, float]:
        """The window that is least likely real: the seconds at which it ends, and its probability."""
        return min(self.curve, key=lambda each: each[1])


def judge_music(bundle: ModelBundle, notes: Notes, style: str | None) -> Judged:
    """Return a judgement of a piece with notes, in a style, or in none that is known.

    Raises UserError for a model without a critic, and VocabularyError for an unknown style.
    """
    from modeling.criticism import judge, judge_aspects

    critic, encoding = bundle.critic, bundle.encoding
    if critic is None:
        raise UserError("the model has no critic: train one with `musenet critic --model` and register its run again")
    tokens = encoding.encode(notes, style)[:-1]
    (judged,) = judge(critic, encoding, [tokens], [len(tokens) + 1], most=MOST_WINDOWS)
    (aspects,) = judge_aspects(critic, encoding, [tokens], [len(tokens) + 1])
    return Judged(
        judged.score,
        {name: value for name, value in aspects.items() if style is not None or name != STYLE},
        [(encoding.decode(tokens[:end]).seconds, score) for end, score in judged.curve],
    )
