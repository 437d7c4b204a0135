"""What a critic learns from: real windows beside generations and damaged pieces under the same headers.

Windows come in pairs of a real one and one that is not, of the same piece. Both sides go through the same decoding and
encoding, and both are transposed, louder or at another tempo as often as they are left alone, so that nothing but the
music tells them apart.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from modeling.criticism.windows import Window
from modeling.data import Split
from tokenization import damages
from tokenization.augmentation import AugmentationSettings, Variant, apply, transpose_range
from tokenization.damages import Damage
from tokenization.dataset.shards import ShardError
from tokenization.encodings import HEADER, Encoding
from tokenization.midi.notes import COLUMNS, Notes
from tokenization.vocabulary import Tokens

Random = np.random.Generator
LEARNED: tuple[tuple[Damage, int], ...] = (
    (damages.bars_shuffled, 4),
    (damages.pitches_permuted, 3),
    (damages.onsets_jittered, 2),
    (damages.wrong_notes, 2),
    (damages.instrument_swapped, 2),
    (damages.durations_permuted, 1),
    (damages.keys_of_halves_apart, 1),
    (damages.one_pitch, 1),
    (damages.mostly_silent, 1),
)
"""Damages that a critic learns from, with their shares."""
RESTYLED = 1
"""Share of pieces under the header of another style, beside those of LEARNED."""
SPLICED = 0.3
"""Share of the prompted generations behind which the real piece goes on."""
VARIED = 0.5
"""Share of the pairs that are varied."""
VARIATION = AugmentationSettings(transpose=5, velocity=10, stretch=0.1)
ANYWHERE = 0.6
"""Share of the windows of damaged pieces that begin anywhere in them; the rest begins with them."""
TRIES = 50
"""Drawings for each pair at most."""
LEAST_NOTES = 16
"""Notes that a piece has to have to be damaged."""


@dataclass(frozen=True)
class Generated:
    """A generation beside the real piece whose place it takes."""

    piece: int
    """Index of the real piece in its split."""
    tokens: Tokens
    start: int
    """First body token of the window."""
    prompt: int
    """Tokens of the piece that are real, header included."""
    length: int
    """Tokens planned for the whole piece."""

    @property
    def window(self) -> Window:
        return Window(self.tokens, self.start, self.length, is_real=False, judged_from=self.prompt)


class Lessons:
    """Pairs of windows drawn from a split and from generations under its headers."""

    def __init__(
        self,
        split: Split,
        generated: Sequence[Generated],
        window: int,
        damaged: float,
        pieces: Collection[str] | None = None,
    ) -> None:
        """`damaged`: share of damaged pieces among the windows that are not real; 1 where nothing is generated.
        `pieces`: ids of those that are damaged; None: all."""
        self.split = split
        self.generated = generated
        self.window = window
        self.damaged = damaged if len(generated) else 1.0
        own = np.ones(len(split.sizes), np.bool_) if pieces is None else np.isin(split.piece_ids, [*pieces])
        # Those as long as a window, or the longer half.
        least = min(window, int(np.median(split.sizes[own])))
        self._pieces: NDArray[np.int64] = np.flatnonzero(own & (split.sizes >= least))

    def draw(self, pairs: int, random: Random) -> list[Window]:
        """Return so many pairs, each a real window and one that is not.

        Raises ShardError where the pieces have too few notes to damage.
        """
        windows: list[Window] = []
        for _ in range(TRIES * pairs):
            windows += self._damaged(random) if random.random() < self.damaged else self._generated(random)
            if len(windows) == 2 * pairs:
                return windows
        raise ShardError(f"the training pieces have fewer than {LEAST_NOTES} notes: a critic has nothing to learn from")

    def _generated(self, random: Random) -> list[Window]:
        found = self._within(self.generated[int(random.integers(len(self.generated)))], random)
        tokens = np.asarray(self.split.pieces[found.piece])
        real, made = Window(tokens, found.start, len(tokens), judged_from=found.prompt), found.window
        if found.prompt > HEADER + found.start and random.random() < SPLICED:
            spliced = splice(found, tokens, self.split.encoding)
            made = made if spliced is None else spliced
        # Both sides are varied, or neither: else what is in a rare key or very loud would be real for that.
        if random.random() < VARIED:
            return [vary_window(window, self.split.encoding, random) for window in (real, made)]
        return [real, made]

    def _within(self, found: Generated, random: Random) -> Generated:
        """Return a generation with a window of this size anywhere in its own."""
        spare = len(found.tokens) - found.start - self.window
        return found if spare <= 0 else replace(found, start=found.start + int(random.integers(spare + 1)))

    def _damaged(self, random: Random) -> list[Window]:
        encoding = self.split.encoding
        index = int(self._pieces[int(random.integers(len(self._pieces)))])
        tokens = np.asarray(self.split.pieces[index])
        notes = encoding.decode(tokens)
        if len(notes) < LEAST_NOTES:
            return []
        start = int(random.integers(max(len(tokens) - self.window, 0) + 1)) if random.random() < ANYWHERE else 0
        real = Window(tokens, start, len(tokens))
        damage, others = _choose(random), other_styles(tokens, encoding)
        if damage is None and others:
            restyled = tokens.copy()
            restyled[0] = random.choice(others)
            return [real, Window(restyled, start, len(tokens), is_real=False)]
        # Both sides are varied alike, or neither: only the damage differs.
        if random.random() < VARIED:
            notes = vary_notes(notes, encoding, random)
            tokens = encoded_like(notes, tokens, encoding)
            real = Window(tokens, min(start, max(len(tokens) - self.window, 0)), len(tokens))
        bad = _spoilt(damage or damages.bars_shuffled, notes, tokens, encoding, random)
        if bad is None or len(bad) <= HEADER + 1:
            return []
        return [real, Window(bad, min(real.start, max(len(bad) - self.window, 0)), len(bad), is_real=False)]


def _choose(random: Random) -> Damage | None:
    """Return a damage of LEARNED, or None for another style's header."""
    shares = np.array([*(share for _, share in LEARNED), RESTYLED], np.float64)
    chosen = int(random.choice(len(shares), p=shares / shares.sum()))
    return LEARNED[chosen][0] if chosen < len(LEARNED) else None


def other_styles(tokens: Tokens, encoding: Encoding) -> list[int]:
    """Return the ids of all styles but that of the header of `tokens`."""
    vocabulary = encoding.vocabulary
    return [other for style in vocabulary.styles if (other := vocabulary.style_id(style)) != int(tokens[0])]


def encoded_like(notes: Notes, tokens: Tokens, encoding: Encoding, kept: int = 2) -> Tokens:
    """Return the tokens of notes under the style and instrumentation of `tokens`; `kept`: 1 for the style alone."""
    out = encoding.encode(notes).copy()
    out[:kept] = tokens[:kept]
    return out


def changed(window: Window, change: Damage, encoding: Encoding, random: Random) -> Window | None:
    """Return a window of the changed piece at the same place, in proportion; None where nothing is left of it."""
    return _in_place(window, _after(change, encoding.decode(window.tokens), window.tokens, encoding, random))


def damaged(window: Window, damage: Damage, encoding: Encoding, random: Random) -> Window | None:
    """Return a window of the damaged piece as `changed` does; None, too, where the damage has changed nothing."""
    tokens = _spoilt(damage, encoding.decode(window.tokens), window.tokens, encoding, random)
    return None if tokens is None else _in_place(window, tokens)


def _in_place(window: Window, tokens: Tokens) -> Window | None:
    if len(tokens) <= HEADER + 1:
        return None
    share = min((len(tokens) - HEADER) / (len(window.tokens) - HEADER), 1.0)
    return Window(tokens, int(window.start * share), len(tokens), is_real=False)


def _spoilt(damage: Damage, notes: Notes, tokens: Tokens, encoding: Encoding, random: Random) -> Tokens | None:
    """Return the tokens of damaged notes as `_after` does; None where they are those of the notes as they were.

    Many programs are one instrument of a vocabulary, so that exchanging them may change nothing.
    """
    out = _after(damage, notes, tokens, encoding, random)
    return None if np.array_equal(out, encoded_like(notes, tokens, encoding)) else out


def _after(change: Damage, notes: Notes, tokens: Tokens, encoding: Encoding, random: Random) -> Tokens:
    """Return the tokens of changed notes under the header of `tokens`.

    Music for other instruments gets the header of those: what it is played by must be heard in the music alone.
    """
    kept = 1 if change is damages.instrument_swapped else 2
    return encoded_like(change(notes, random), tokens, encoding, kept)


def vary_notes(notes: Notes, encoding: Encoding, random: Random) -> Notes:
    """Return notes transposed, louder or softer, and slower or faster, within VARIATION."""
    down, up = transpose_range(notes, encoding.vocabulary)
    most = VARIATION.transpose
    variant = Variant(
        int(random.integers(max(down, -most), min(up, most) + 1)),
        int(random.integers(-VARIATION.velocity, VARIATION.velocity + 1)),
        float(random.uniform(1 - VARIATION.stretch, 1 + VARIATION.stretch)),
    )
    return apply(notes, variant)


def vary_window(window: Window, encoding: Encoding, random: Random) -> Window:
    """Return a window transposed, louder or softer, slower or faster, at about the same place."""
    notes = encoding.decode(window.tokens)
    if not len(notes):
        return window
    tokens = encoded_like(vary_notes(notes, encoding, random), window.tokens, encoding)
    length = window.length + len(tokens) - len(window.tokens)  # of a generation the planned one, which is longer
    return replace(window, tokens=tokens, start=min(window.start, max(len(tokens) - HEADER - 1, 0)), length=length)


def splice(found: Generated, tokens: Tokens, encoding: Encoding) -> Window | None:
    """Return the window of a generation behind which its real piece goes on from the same time; None if none does."""
    made, real = encoding.decode(found.tokens), encoding.decode(tokens)
    if not len(made):
        return None
    until = float(made.onset.max())
    rest = np.flatnonzero(real.onset > until)
    if not len(rest):
        return None
    columns = {name: np.concatenate([getattr(made, name), getattr(real, name)[rest]]) for name in COLUMNS}
    notes = Notes(**columns, tempo=real.tempo, tempo_map=real.tempo_map)
    joined = encoded_like(notes, tokens, encoding)
    return Window(joined, found.start, len(joined), is_real=False, judged_from=found.prompt)
