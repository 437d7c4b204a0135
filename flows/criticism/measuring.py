"""The measures of a critic on held-out pieces: generations, damages, and changes that should not count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from flows.criticism.report import CriticFigure, Kind
from flows.criticism.windows import windows_of
from modeling.archive import Generation, generated_of, third_of
from modeling.criticism import (
    Critic,
    Estimate,
    Scored,
    Window,
    auc,
    final_logits,
    hear_prefixes,
    prefix_sizes,
)
from modeling.criticism.calibration import Values
from modeling.criticism.lessons import LEARNED, LEAST_NOTES, changed, damaged, splice
from modeling.data import Split
from tokenization import damages
from tokenization.augmentation import Variant, apply
from tokenization.damages import Damage
from tokenization.encodings import HEADER, Encoding
from tokenization.midi.notes import Notes

PLACES = ("first third", "middle third", "last third")
UNLEARNED: tuple[Damage, ...] = (damages.bars_reversed, damages.bass_displaced, damages.silence_inside)
STREAM = 301
HIGHEST = 127
"""Of MIDI's pitches."""


class Measuring:
    """A critic on held-out pieces; real windows are those beside the ordinary generations."""

    def __init__(self, critic: Critic, split: Split, ordinary: Sequence[Generation], seed: int) -> None:
        self.critic = critic
        self.encoding: Encoding = split.encoding
        self.split = split
        self.seed = seed
        self.made, self.real = windows_of(ordinary, split)
        self.generations = list(ordinary)
        families = _families(ordinary)
        self.made_scores, self.real_scores = (Scored(self.score(own), families) for own in (self.made, self.real))

    @cached_property
    def own_auc(self) -> Estimate:
        """The AUC of the ordinary generations."""
        return auc(self.real_scores, self.made_scores, self.seed)

    def score(self, windows: Sequence[Window]) -> Values:
        """Return the calibrated logit of whole windows."""
        return final_logits(self.critic, self.encoding, windows)[1] if windows else np.zeros(0)

    def of_ordinary(self, name: str, is_learned: bool) -> CriticFigure:
        """Return the figure of the ordinary generations, whose sampler has this name."""
        return _figure("sampler", name, self.own_auc, len(self.made), is_learned)

    def of_generations(
        self, kind: Kind, name: str, generations: Sequence[Generation], is_learned: bool
    ) -> CriticFigure:
        """Return the figure of some generations against the real windows in whose places they are."""
        families = _families(generations)
        made, real = (Scored(self.score(own), families) for own in windows_of(generations, self.split))
        return _figure(kind, name, auc(real, made, self.seed), len(made), is_learned)

    def prefixes(self) -> list[CriticFigure]:
        """Return figures by the tokens heard behind header and prompt, of windows that have so many.

        The last one is of whole windows without a prompt.
        """
        families, window = self.made_scores.families, self.critic.config.window
        columns = []
        for windows in (self.real, self.made):
            logits, heard = hear_prefixes(self.critic, self.encoding, windows)
            columns.append(self.critic.calibration.apply(logits, heard))
        is_open = np.array([each.judged_from <= HEADER + each.start for each in self.made])
        found = []
        for number, size in enumerate([*prefix_sizes(window), window - HEADER]):
            real, made = (each[:, number] for each in columns)
            own = ~np.isnan(real) & ~np.isnan(made)
            if size == window - HEADER:
                own &= is_open
            estimate = auc(Scored(real[own], families[own]), Scored(made[own], families[own]), self.seed)
            found.append(_figure("prefix", f"{size} tokens", estimate, int(own.sum())))
        return [each for each in found if each.windows]

    def places(self) -> list[CriticFigure]:
        """Return figures by the third of the piece that the window begins in."""
        starts, lengths = (np.array([getattr(w, name) for w in self.real], np.int64) for name in ("start", "length"))
        thirds = third_of(starts, lengths, self.critic.config.window)
        found = []
        for number, name in enumerate(PLACES):
            own = thirds == number
            real, made = (Scored(each.scores[own], each.families[own]) for each in (self.real_scores, self.made_scores))
            found.append(_figure("place", name, auc(real, made, self.seed), int(own.sum())))
        return [each for each in found if each.windows]

    def damages(self) -> list[CriticFigure]:
        """Return figures of damaged real pieces, learned from or not, and of generated middles."""
        learned = [damage for damage, _ in LEARNED]
        found = [self._changed("damage", damage, damage in learned) for damage in (*learned, *UNLEARNED)]
        found.append(self._against("damage", "header of another style", self._restyled(), True))
        found.append(self._against("damage", "generated middle", self._spliced(), True))
        return [each for each in found if each.windows]

    def cues(self) -> list[CriticFigure]:
        """Return figures of real pieces that were changed in what should not count: half is best."""
        return [each for cue in (decoded, higher, louder, faster) if (each := self._changed("cue", cue, True)).windows]

    def _changed(self, kind: Kind, change: Damage, is_learned: bool) -> CriticFigure:
        random = np.random.default_rng([self.seed, STREAM])
        after = damaged if kind == "damage" else changed
        found: list[Window | None] = [
            after(window, change, self.encoding, random)
            if len(self.encoding.decode(window.tokens)) >= LEAST_NOTES
            else None
            for window in self.real
        ]
        return self._against(kind, change.__name__.replace("_", " "), found, is_learned)

    def _against(self, kind: Kind, name: str, windows: Sequence[Window | None], is_learned: bool) -> CriticFigure:
        """Return the figure of windows, each in place of a real one, against those; None where there is none."""
        own = np.array([window is not None for window in windows], np.bool_)
        real, families = self.real_scores.scores[own], self.real_scores.families[own]
        scores = self.score([window for window in windows if window is not None])
        estimate = auc(Scored(real, families), Scored(scores, families), self.seed)
        return _figure(kind, name, estimate, len(scores), is_learned)

    def _restyled(self) -> list[Window | None]:
        vocabulary = self.encoding.vocabulary
        found: list[Window | None] = []
        for number, window in enumerate(self.real):
            ids = [vocabulary.style_id(style) for style in vocabulary.styles]
            others = [style for style in ids if style != int(window.tokens[0])]
            tokens = window.tokens.copy()
            tokens[0] = others[number % len(others)] if others else tokens[0]
            found.append(replace(window, tokens=tokens, is_real=False) if others else None)
        return found

    def _spliced(self) -> list[Window | None]:
        """Return the windows of generations behind which the real piece goes on; None for those without a prompt."""
        found = zip(generated_of(self.generations, self.split), self.real)
        return [
            splice(made, real.tokens, self.encoding) if made.prompt > HEADER + made.start else None
            for made, real in found
        ]


def _families(generations: Sequence[Generation]) -> NDArray[np.str_]:
    return np.array([each.family for each in generations], np.str_)


def _figure(kind: Kind, name: str, estimate: Estimate, windows: int, is_learned: bool = False) -> CriticFigure:
    return CriticFigure(
        kind=kind,
        name=name,
        auc=estimate.value,
        low=estimate.low,
        high=estimate.high,
        windows=windows,
        is_learned=is_learned,
    )


def decoded(notes: Notes, random: np.random.Generator) -> Notes:
    """Return the notes as they are: the damage is decoding and encoding them."""
    return notes


def higher(notes: Notes, random: np.random.Generator) -> Notes:
    """Transpose by two semitones, up where MIDI reaches as far."""
    return apply(notes, Variant(2 if notes.pitch.max(initial=0) <= HIGHEST - 2 else -2))


def louder(notes: Notes, random: np.random.Generator) -> Notes:
    """Add eight to all velocities."""
    return apply(notes, Variant(0, 8))


def faster(notes: Notes, random: np.random.Generator) -> Notes:
    """Shorten all times by seven hundredths."""
    return apply(notes, Variant(0, 0, 0.93))
