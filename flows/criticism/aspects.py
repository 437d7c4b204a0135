"""The aspects of a critic on held-out pieces: real windows beside ones with the fault that each aspect should hear.

As with the critic's score, an aspect is calibrated by both halves of the held-out families and measured on each half
under the calibration of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flows.criticism.changed_windows import damaged_windows, higher, restyled_windows
from flows.criticism.report import CriticFigure, figure_of
from flows.criticism.windows import families_of, windows_of
from modeling.archive import Generation
from modeling.criticism import (
    ASPECTS,
    Aspect,
    Calibration,
    Critic,
    Estimate,
    Scored,
    Window,
    auc,
    expected_calibration_error,
    fit_calibration,
    hear_aspects,
    probability,
)
from modeling.criticism.calibration import Values
from modeling.data import Split
from tokenization import damages
from tokenization.encodings import Encoding

FAULTS = {"order": "bars shuffled", "instruments": "instrument swapped", "style": "header of another style"}
"""What each aspect should hear."""
COMPOSED = "own generations"


@dataclass(frozen=True)
class MeasuredAspects:
    """The aspects of a critic: calibrated, and in numbers."""

    calibrations: dict[str, Calibration]
    figures: list[CriticFigure]
    errors: dict[str, float]
    """Expected calibration errors."""


@dataclass(frozen=True)
class _Gains:
    """What windows gain by an aspect, with the families of their pieces; shape (windows,) each."""

    gains: Values
    heard: Values
    families: NDArray[np.str_]

    def where(self, own: NDArray[np.bool_]) -> _Gains:
        return _Gains(self.gains[own], self.heard[own], self.families[own])

    def scored(self, calibration: Calibration) -> Scored:
        return Scored(probability(calibration.apply(self.gains, self.heard)), self.families)


class _Half:
    """One half of the held-out families as the aspects of a critic hear it."""

    def __init__(self, critic: Critic, split: Split, generations: Sequence[Generation]) -> None:
        self.critic, self.encoding = critic, split.encoding
        self.families = families_of(generations)
        self.made, self.real = windows_of(generations, split)
        gains, heard = hear_aspects(critic.model, self.encoding, self.real, critic.config.window)
        self._own = {each.name: _Gains(own, heard, self.families) for each, own in zip(ASPECTS, gains.T, strict=True)}

    def hear(self, aspect: Aspect, windows: Sequence[Window | None]) -> _Gains:
        """Return what windows gain by an aspect, each in place of a real one; NaN for None."""
        own = np.array([window is not None for window in windows], np.bool_)
        found, heard = np.full(len(windows), np.nan), np.ones(len(windows))
        there = [window for window in windows if window is not None]
        gains, heard[own] = hear_aspects(self.critic.model, self.encoding, there, self.critic.config.window, [aspect])
        found[own] = gains[:, 0]
        return _Gains(found, heard, self.families)

    def pair(self, aspect: Aspect, windows: Sequence[Window | None]) -> tuple[_Gains, _Gains]:
        """Return the gains of real windows and of those in their places, where both are known."""
        real, other = self._own[aspect.name], self.hear(aspect, windows)
        own = ~np.isnan(real.gains) & ~np.isnan(other.gains)
        return real.where(own), other.where(own)


def measure_aspects(critic: Critic, halves: Sequence[tuple[Split, Sequence[Generation]]], seed: int) -> MeasuredAspects:
    """Calibrate and measure the aspects of a critic on two halves of the held-out families.

    An aspect of which a half has no windows to compare, that of style in a dataset of one style, is left out.
    """
    first, second = (_Half(critic, split, generations) for split, generations in halves)
    found = MeasuredAspects({}, [], {})
    for aspect in ASPECTS:
        pairs = [half.pair(aspect, _at_fault(aspect, half.real, half.encoding, seed)) for half in (first, second)]
        if not all(len(real.gains) for real, _ in pairs):
            continue
        fitted = [_fitted([pair]) for pair in pairs]
        found.calibrations[aspect.name] = _fitted(pairs)
        real, faulty = (
            _joined([pair[side].scored(other) for pair, other in zip(pairs, reversed(fitted), strict=True)])
            for side in (0, 1)
        )
        found.errors[aspect.name] = expected_calibration_error(
            np.concatenate([real.scores, faulty.scores]), np.arange(len(real) + len(faulty)) < len(real)
        )
        estimate = auc(real, faulty, seed)
        found.figures.append(_figure(aspect, FAULTS[aspect.name], estimate, len(faulty), is_learned=True))
        transposed = damaged_windows(second.real, higher, second.encoding, seed, is_cue=True)
        for name, windows in ((higher.__name__, transposed), (COMPOSED, second.made)):
            own, other = (each.scored(fitted[0]) for each in second.pair(aspect, windows))
            found.figures.append(_figure(aspect, name, auc(own, other, seed), len(other)))
    return found


def _at_fault(aspect: Aspect, windows: Sequence[Window], encoding: Encoding, seed: int) -> list[Window | None]:
    """Return windows with the fault that an aspect should hear."""
    if aspect.name == "style":
        return restyled_windows(windows, encoding)
    damage = damages.bars_shuffled if aspect.name == "order" else damages.instrument_swapped
    return damaged_windows(windows, damage, encoding, seed)


def _fitted(pairs: Sequence[tuple[_Gains, _Gains]]) -> Calibration:
    """Return the calibration of real windows beside others."""
    parts = [part for side in zip(*pairs, strict=True) for part in side]
    gains, heard = (np.concatenate([getattr(part, name) for part in parts]) for name in ("gains", "heard"))
    right = sum(len(real.gains) for real, _ in pairs)
    return fit_calibration(gains, heard, np.arange(len(gains)) < right)


def _joined(parts: Sequence[Scored]) -> Scored:
    return Scored(np.concatenate([each.scores for each in parts]), np.concatenate([each.families for each in parts]))


def _figure(aspect: Aspect, name: str, estimate: Estimate, windows: int, is_learned: bool = False) -> CriticFigure:
    return figure_of("aspect", f"{aspect.name}: {name}", estimate, windows, is_learned)
