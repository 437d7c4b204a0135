"""The measures of a critic on held-out pieces: generations, damages, and changes that should not count."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from flows.criticism.changed_windows import CUES, damaged_windows, restyled_windows
from flows.criticism.report import CriticFigure, Kind, figure_of
from flows.criticism.windows import families_of, windows_of
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
from modeling.criticism.lessons import LEARNED, splice
from modeling.data import Split
from tokenization import damages
from tokenization.damages import Damage
from tokenization.encodings import HEADER, Encoding

PLACES = ("first third", "middle third", "last third")
UNLEARNED: tuple[Damage, ...] = (damages.bars_reversed, damages.bass_displaced, damages.silence_inside)


class Measuring:
    """A critic on held-out pieces; real windows are those beside the ordinary generations."""

    def __init__(self, critic: Critic, split: Split, ordinary: Sequence[Generation], seed: int) -> None:
        self.critic = critic
        self.encoding: Encoding = split.encoding
        self.split = split
        self.seed = seed
        self.made, self.real = windows_of(ordinary, split)
        self.generations = list(ordinary)
        families = families_of(ordinary)
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
        return figure_of("sampler", name, self.own_auc, len(self.made), is_learned)

    def of_generations(
        self, kind: Kind, name: str, generations: Sequence[Generation], is_learned: bool
    ) -> CriticFigure:
        """Return the figure of some generations against the real windows in whose places they are."""
        families = families_of(generations)
        made, real = (Scored(self.score(own), families) for own in windows_of(generations, self.split))
        return figure_of(kind, name, auc(real, made, self.seed), len(made), is_learned)

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
            found.append(figure_of("prefix", f"{size} tokens", estimate, int(own.sum())))
        return [each for each in found if each.windows]

    def places(self) -> list[CriticFigure]:
        """Return figures by the third of the piece that the window begins in."""
        starts, lengths = (np.array([getattr(w, name) for w in self.real], np.int64) for name in ("start", "length"))
        thirds = third_of(starts, lengths, self.critic.config.window)
        found = []
        for number, name in enumerate(PLACES):
            own = thirds == number
            real, made = (Scored(each.scores[own], each.families[own]) for each in (self.real_scores, self.made_scores))
            found.append(figure_of("place", name, auc(real, made, self.seed), int(own.sum())))
        return [each for each in found if each.windows]

    def damages(self) -> list[CriticFigure]:
        """Return figures of damaged real pieces, learned from or not, and of generated middles."""
        learned = [damage for damage, _ in LEARNED]
        found = [self._changed("damage", damage, damage in learned) for damage in (*learned, *UNLEARNED)]
        found.append(
            self._against("damage", "header of another style", restyled_windows(self.real, self.encoding), True)
        )
        found.append(self._against("damage", "generated middle", self._spliced(), True))
        return [each for each in found if each.windows]

    def cues(self) -> list[CriticFigure]:
        """Return figures of real pieces that were changed in what should not count: half is best."""
        return [each for cue in CUES if (each := self._changed("cue", cue, True)).windows]

    def _changed(self, kind: Kind, change: Damage, is_learned: bool) -> CriticFigure:
        found = damaged_windows(self.real, change, self.encoding, self.seed, is_cue=kind == "cue")
        return self._against(kind, change.__name__.replace("_", " "), found, is_learned)

    def _against(self, kind: Kind, name: str, windows: Sequence[Window | None], is_learned: bool) -> CriticFigure:
        """Return the figure of windows, each in place of a real one, against those; None where there is none."""
        own = np.array([window is not None for window in windows], np.bool_)
        real, families = self.real_scores.scores[own], self.real_scores.families[own]
        scores = self.score([window for window in windows if window is not None])
        estimate = auc(Scored(real, families), Scored(scores, families), self.seed)
        return figure_of(kind, name, estimate, len(scores), is_learned)

    def _spliced(self) -> list[Window | None]:
        """Return the windows of generations behind which the real piece goes on; None for those without a prompt."""
        found = zip(generated_of(self.generations, self.split), self.real)
        return [
            splice(made, real.tokens, self.encoding) if made.prompt > HEADER + made.start else None
            for made, real in found
        ]
