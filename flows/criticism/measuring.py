"""The measures of a critic on held-out pieces: generations, damages, and changes that should not count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from flows.criticism.report import CriticFigure, Kind, Reliability
from modeling.archive import Generation, generated_of
from modeling.criticism import Critic, Estimate, Window, auc, final_logits, prefix_sizes, probability
from modeling.criticism.lessons import LEARNED, LEAST_NOTES, damaged, splice
from modeling.data import Split
from tokenization import damages
from tokenization.augmentation import Variant, apply
from tokenization.damages import Damage
from tokenization.encodings import HEADER, Encoding
from tokenization.midi.notes import Notes

Scores = NDArray[np.float64]
PLACES = ("first third", "middle third", "last third")
UNLEARNED: tuple[Damage, ...] = (damages.bars_reversed, damages.bass_displaced, damages.silence_inside)
BINS = 10
STREAM = 301
HIGHEST = 127
"""Of MIDI's pitches."""


def windows_of(generations: Sequence[Generation], split: Split) -> tuple[list[Window], list[Window]]:
    """Return the windows of generations, and the real ones in whose places they are."""
    made, real = [], []
    for each in generated_of(generations, split):
        tokens = np.asarray(split.pieces[each.piece])
        made.append(each.window)
        real.append(Window(tokens, each.start, len(tokens), judged_from=each.prompt))
    return made, real


class Measuring:
    """A critic on held-out pieces; real windows are those beside the ordinary generations."""

    def __init__(self, critic: Critic, split: Split, ordinary: Sequence[Generation], seed: int) -> None:
        self.critic = critic
        self.encoding: Encoding = split.encoding
        self.split = split
        self.seed = seed
        self.made, self.real = windows_of(ordinary, split)
        self.generations = list(ordinary)
        self.made_scores, self.real_scores = self.score(self.made), self.score(self.real)

    def score(self, windows: Sequence[Window]) -> Scores:
        """Return the calibrated logit of whole windows."""
        return final_logits(self.critic, self.encoding, windows)[1] if windows else np.zeros(0)

    def of_generations(
        self, kind: Kind, name: str, generations: Sequence[Generation], is_learned: bool
    ) -> CriticFigure:
        """Return the figure of some generations against the real windows in whose places they are."""
        made, real = windows_of(generations, self.split)
        return _figure(kind, name, auc(self.score(real), self.score(made)), len(made), is_learned)

    def prefixes(self) -> list[CriticFigure]:
        """Return figures by the tokens heard, behind the header and the prompt."""
        made, real = (self.critic.hear(windows, self.encoding) for windows in (self.made, self.real))
        return [_at(size, made, real) for size in prefix_sizes(self.critic.config.window)]

    def places(self) -> list[CriticFigure]:
        """Return figures by the place of the window in its piece."""
        middle = np.array([(w.start + self.critic.config.window / 2) / w.length for w in self.real])
        third = np.minimum((middle * 3).astype(np.int64), 2)
        found = []
        for number, name in enumerate(PLACES):
            own = third == number
            if own.sum() > 1:
                estimate = auc(self.real_scores[own], self.made_scores[own], self.seed)
                found.append(_figure("place", name, estimate, int(own.sum())))
        return found

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

    def reliability(self) -> list[Reliability]:
        """Return the held-out windows by their scores."""
        scores = probability(np.concatenate([self.real_scores, self.made_scores]))
        is_real = np.arange(len(scores)) < len(self.real_scores)
        place = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
        return [
            Reliability(score=float(scores[own].mean()), real=float(is_real[own].mean()), windows=int(own.sum()))
            for own in (place == number for number in range(BINS))
            if own.any()
        ]

    def _changed(self, kind: Kind, change: Damage, is_learned: bool) -> CriticFigure:
        random = np.random.default_rng([self.seed, STREAM])
        kept = [window for window in self.real if len(self.encoding.decode(window.tokens)) >= LEAST_NOTES]
        changed = [found for w in kept if (found := damaged(w, change, self.encoding, random)) is not None]
        return self._against(kind, change.__name__.replace("_", " "), changed, is_learned)

    def _against(self, kind: Kind, name: str, windows: Sequence[Window], is_learned: bool) -> CriticFigure:
        return _figure(kind, name, auc(self.real_scores, self.score(windows), self.seed), len(windows), is_learned)

    def _restyled(self) -> list[Window]:
        vocabulary = self.encoding.vocabulary
        found = []
        for number, window in enumerate(self.real):
            ids = [vocabulary.style_id(style) for style in vocabulary.styles]
            others = [style for style in ids if style != int(window.tokens[0])]
            if others:
                tokens = window.tokens.copy()
                tokens[0] = others[number % len(others)]
                found.append(replace(window, tokens=tokens, is_real=False))
        return found

    def _spliced(self) -> list[Window]:
        pairs = zip(generated_of(self.generations, self.split), self.generations, self.real)
        prompted = [(each, real) for each, made, real in pairs if made.prompt > HEADER + made.start]
        return [found for each, real in prompted if (found := splice(each, real.tokens, self.encoding)) is not None]


def _at(size: int, made: Scores, real: Scores) -> CriticFigure:
    """Return the figure of what was heard up to a number of tokens of the window, header included."""
    columns = [heard[:, :size] for heard in (real, made)]
    last = [heard[np.arange(len(heard)), np.maximum((~np.isnan(heard)).sum(1) - 1, 0)] for heard in columns]
    return _figure("prefix", f"{size} tokens", auc(*last), len(made))


def _figure(kind: Kind, name: str, estimate: Estimate, windows: int, is_learned: bool = False) -> CriticFigure:
    return CriticFigure(
        kind=kind,
        name=name,
        auc=estimate.value if windows else 0.5,
        low=estimate.low if windows else 0.0,
        high=estimate.high if windows else 1.0,
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
