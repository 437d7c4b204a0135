"""Pieces that grow one token at a time: their tokens, structure features, grammar, plan and controls."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modeling.controls import Controls
from modeling.controls.adjustments import Adjustments
from modeling.controls.entries import Entries
from modeling.controls.form import Plans
from modeling.generation.direction import Direction
from modeling.generation.executors import Fields, Floats, Rows
from modeling.generation.frame import Frame, FrameState
from modeling.generation.kernels.forward import FIELDS, TEXTURE
from modeling.generation.planning import Clock, TimePlan
from modeling.generation.sampling import SamplingConfig
from tokenization.encodings import HEADER, Encoding
from tokenization.encodings.ending import Ending
from tokenization.encodings.grammar import Grammar
from tokenization.encodings.structure import COUNTDOWN, Features, Stepper
from tokenization.encodings.texture import TextureState

KEPT = 0.5
"""Share of a context that stays in the window when it moves on."""
ENDLESS_NOTE = 1e6
"""Seconds that no note lasts."""


class GrowingPieces:
    """A batch of pieces of equal length so far.

    `prompts`: the tokens so far, shape (pieces, n). `lengths`: planned tokens of each piece, on which its part and
    countdown depend, and in a direction with a length in time a first estimate of them. `capacity`: most tokens of any.
    `with_texture`: fill in the fields from TEXTURE on, which stay zeros otherwise.
    `frame`: what stays of a given piece, whose prefix the prompts are; then the plan is that piece's.
    Raises ValueError where an instrumentation has no instruments, and VocabularyError where controls leave no note.
    """

    def __init__(
        self,
        encoding: Encoding,
        prompts: NDArray[np.uint16],
        lengths: Rows,
        capacity: int,
        sampling: SamplingConfig,
        direction: Direction,
        with_texture: bool,
        frame: Frame | None = None,
    ) -> None:
        self._writes_ends = encoding.writes_ends
        self.lengths, self._capacity = lengths, capacity
        self.filled = 0
        """Tokens of each piece so far."""
        asked = encoding.vocabulary.instruments_of(prompts[:, 1])
        if direction.instruments:
            asked = asked & encoding.vocabulary.named_instruments(direction.instruments)
        playable = np.ones_like(asked) if direction.is_open else asked
        # In the data `end` comes when the countdown has run out; a piece may end while it runs.
        ending = Ending.within(lengths - COUNTDOWN, lengths)
        longest_note = sampling.longest_note
        self._frame: FrameState | None = None
        if frame is not None:  # which ends the pieces, and new notes alone are bounded
            playable = np.tile(frame.playable, (len(lengths), 1))
            ending, longest_note = Ending.open(len(lengths)), ENDLESS_NOTE
        self._grammar = Grammar(encoding, playable, ending, longest_note)
        self._stepper = Stepper(lengths, encoding.effects)
        self._texture = TextureState(encoding, len(lengths)) if with_texture else None
        self._clock = Clock(encoding, len(lengths))
        self._plan: TimePlan | None = None
        if direction.seconds is not None:
            self._plan = TimePlan(self._clock, direction.seconds, lengths, encoding.keeps_lengths)
            self._follow(self._plan)
        self._adjustments: Adjustments | None = None
        if direction.controls != Controls() or direction.is_open:
            self._adjustments = Adjustments(encoding, direction.controls, asked, playable)
        self._entries: Entries | None = None
        if direction.instruments and frame is None:
            names = sorted({*direction.instruments})
            parts = np.stack([encoding.vocabulary.named_instruments((name,)) for name in names])
            within = None if self._adjustments is None else self._adjustments.within
            self._entries = Entries(encoding, parts, asked, within, is_required=not direction.is_open)
        self._fields: Fields = np.zeros((FIELDS, len(lengths), capacity), np.int64)
        for column in prompts.T.astype(np.int64):
            if frame is not None:
                self._plan_by(frame)
            self.append(column)
        self._frame = None if frame is None else frame.start(len(lengths))

    def __len__(self) -> int:
        return len(self.lengths)

    def follow(self, plans: Plans) -> None:
        """Give each piece a form, see `modeling.controls.form`; of a given piece the rest stays, and none is given."""
        if self._adjustments is not None and self._frame is None:
            self._adjustments.follow(plans)

    def append(self, tokens: Rows) -> None:
        """Append one token to each piece, shape (pieces,)."""
        step: Features = self._stepper.step(tokens)
        self._grammar.advance(tokens)
        if self._adjustments is not None:
            self._adjustments.advance(tokens)
        if self._entries is not None:
            self._entries.advance(tokens)
        self._fields[:TEXTURE, :, self.filled] = tokens, step.time, step.chord, step.part, step.countdown
        if self._texture is not None:
            self._fields[TEXTURE:, :, self.filled] = self._texture.step(tokens)
        self.filled += 1
        self._clock.advance(self._grammar.now, self._grammar.tempo)
        if self._frame is not None:
            self._frame.advance(tokens, self._clock.now)
            self._plan_by(self._frame.frame)
        if self._plan is not None:
            self._follow(self._plan)

    def _follow(self, plan: TimePlan) -> None:
        """Take the planned tokens and the ending from the plan."""
        self.lengths = plan.tokens(self._offs(), self.filled)
        self._stepper.lengths = self.lengths
        self._grammar.ending = plan.ending()

    def _offs(self) -> Rows:
        """Return the note-offs that are still to come for the notes that sound, shape (pieces,)."""
        voices = self._grammar.voices
        return voices if self._writes_ends else np.zeros_like(voices)

    def _plan_by(self, frame: Frame) -> None:
        """Take the planned tokens from the given piece."""
        self.lengths = frame.planned(self._clock.now, self.filled)
        self._stepper.lengths = self.lengths

    def go_on(self, tokens: Rows, end: int) -> NDArray[np.bool_]:
        """Return which pieces go on behind their last token, one of `tokens`, shape (pieces,); `end`: the id."""
        if self._frame is not None:
            return self._frame.goes_on(self._clock.now) & (self.filled < self._capacity)
        return np.asarray((tokens != end) & (self.filled < np.minimum(self.lengths, self._capacity)))

    @property
    def seconds(self) -> NDArray[np.float64]:
        """Seconds of each piece so far, shape (pieces,)."""
        return self._clock.elapsed

    def adjust(self, logits: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Return logits under the controls, and which ids may come next, shape (pieces, ids)."""
        allowed = self._grammar.allowed()
        entries = self._entries if self._entries is not None and self._entries.are_awaited else None
        if self._adjustments is None and self._frame is None and entries is None:
            return logits, allowed
        adjusted = np.array(logits[:, : allowed.shape[1]], np.float32, order="C")
        now = self._clock.now
        free, strict = (allowed, None) if self._frame is None else self._frame.limit(allowed, now)
        if self._adjustments is not None:
            outlook = self._grammar.outlook(self._adjustments.most_voices)
            self._adjustments.apply(adjusted, free, outlook, strict)
        if entries is not None:
            entries.apply(adjusted, free, self.filled, self.lengths)
        if self._frame is not None:
            self._frame.force(logits, allowed, free, now, adjusted)
        return adjusted, free

    def latest(self) -> Fields:
        """Return the last token of each piece, shape (FIELDS, pieces)."""
        return self._fields[:, :, self.filled - 1]

    def window(self, context: int) -> Fields:
        """Return the tokens that the next ones are predicted from, shape (FIELDS, pieces, positions)."""
        begin = window_begin(self.filled, context)
        return self._fields[:, :, np.r_[0:HEADER, begin : self.filled]]

    def keep(self, rows: Rows) -> None:
        """Keep these pieces, in this order; one that is named more than once is copied."""
        self.lengths, self._fields = self.lengths[rows], self._fields[:, rows]
        self._grammar.keep(rows)
        self._stepper.keep(rows)
        self._clock.keep(rows)
        for part in (self._texture, self._plan, self._adjustments, self._entries, self._frame):
            if part is not None:
                part.keep(rows)


def window_begin(filled: int, context: int, kept: float = KEPT) -> int:
    """Return the first token behind the header in the window of a piece of `filled` tokens.

    All tokens up to a full context; whenever they would be more, the window moves on to the latest music, of as many
    tokens as the share `kept` of a context. It depends on the number of tokens alone, so that a piece is continued from
    anywhere as if it had not stopped.
    """
    if filled <= context:
        return HEADER
    latest = max(min(int(context * kept), context - HEADER), 1)
    period = context - HEADER - latest + 1  # tokens from one move to the next
    return context + 1 + (filled - context - 1) // period * period - latest
