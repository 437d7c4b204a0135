"""Controls applied to the logits of a batch of growing pieces, one token at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modeling.controls.tables import IdTable, Limits, id_table, limits_of
from modeling.controls.wishes import Controls
from tokenization.compiled import compiled, machine_code
from tokenization.encodings import Encoding
from tokenization.encodings.outlook import Outlook
from tokenization.encodings.rules import NO_BOUND
from tokenization.encodings.texture import CLASSES
from tokenization.vocabulary import PITCHES

PHRASE = 4
"""Intervals of a phrase, the one to the next note included."""
HEARD = 96
"""Notes of each instrument in which phrases are looked for."""
REPEATS = 2
"""Times that a phrase may be heard without a penalty where nothing is said."""
DENSITY_SECONDS = 4.0
"""Time constant of the measured density."""
DENSITY_GAIN, MOST_DENSITY_BIAS = 1.5, 3.0
"""Nats for each factor e between the density wished for and that measured, and the most of them."""
CLASS_MEMORY = 48.0
"""Notes after which a pitch class that was heard counts 1 / e."""
CLASS_PRIOR = 1.0
"""Notes of each pitch class that count as heard at first."""
PATIENCE = 8.0
"""Seconds of silence after which an instrument that was asked for is missing in full; the bias begins at half."""


class _Settings(NamedTuple):
    """The controls as numbers that compiled code reads; times in ticks."""

    inverse_time: float
    inverse_pitch: float
    inverse_instrument: float
    most_voices: int
    """0: any number."""
    keeps_lengths: bool
    """False where notes that start together are all that can be counted of voices."""
    longest_wait: int
    density: float
    """Notes a tick; 0: any."""
    density_ticks: float
    outside: float
    missing: float
    patience: float
    repetition: float
    repeats: int
    tonality: float


class State(NamedTuple):
    """What is remembered of each piece; the first axis is the batch."""

    asked: NDArray[np.bool_]
    """The instruments that were asked for, shape (batch, instruments)."""
    now: NDArray[np.int64]
    """Ticks since the start."""
    struck: NDArray[np.int64]
    """Notes that started at this tick."""
    rate: NDArray[np.float64]
    """Notes a tick, exponentially averaged."""
    last: NDArray[np.int64]
    """The tick at which each instrument last struck a note, shape (batch, instruments); 0 at first."""
    heard: NDArray[np.int16]
    """The latest pitches of each instrument, a ring, shape (batch, instruments, HEARD)."""
    played: NDArray[np.int64]
    """Notes of each instrument so far, shape (batch, instruments)."""
    classes: NDArray[np.float64]
    """Notes of each pitch class, drums aside, older ones counting less, shape (batch, CLASSES)."""


class Adjustments:
    """The controls of a request, applied to all pieces of a batch."""

    def __init__(
        self,
        encoding: Encoding,
        controls: Controls,
        asked: NDArray[np.bool_],
        playable: NDArray[np.bool_],
    ) -> None:
        """Start a batch of pieces.

        `asked`: the instruments that were asked for; `playable`: those that may play; both of shape (batch,
        instruments). Raises VocabularyError if the controls leave no note.
        """
        batch, instruments = asked.shape
        self._ids = id_table(encoding)
        self._limits = limits_of(encoding, controls, np.asarray(playable.any(axis=0)))
        self.most_voices = controls.most_voices
        """Most notes that sound at a time; None: any number."""
        self._end = int(encoding.vocabulary.end)
        self._has_drums: NDArray[np.bool_] = np.asarray(playable[:, self._ids.drum].any(axis=1))
        per_second = encoding.ticks_per_second
        self._settings = _Settings(
            1 / (controls.time_temperature or 1.0),
            1 / (controls.pitch_temperature or 1.0),
            1 / controls.instrument_temperature,
            controls.most_voices or 0,
            encoding.keeps_lengths,
            int(encoding.vocabulary.max_wait),
            (controls.density or 0.0) / per_second,
            DENSITY_SECONDS * per_second,
            controls.outside,
            controls.missing,
            PATIENCE * per_second,
            controls.repetition or 0.0,
            REPEATS if controls.repeats is None else controls.repeats,
            controls.tonality or 0.0,
        )
        self.state = State(
            asked,
            np.zeros(batch, np.int64),
            np.zeros(batch, np.int64),
            np.zeros(batch),
            np.zeros((batch, instruments), np.int64),
            np.zeros((batch, instruments, HEARD), np.int16),
            np.zeros((batch, instruments), np.int64),
            np.zeros((batch, CLASSES)),
        )
        self._apply: Callable[..., None] | None = None
        self._advance: Callable[..., None] | None = None

    @property
    def within(self) -> NDArray[np.bool_]:
        """True for the ids that range, key and velocity leave, shape (ids,)."""
        return self._limits.may

    def apply(
        self,
        logits: NDArray[np.float32],
        may: NDArray[np.bool_],
        outlook: Outlook,
        strict: NDArray[np.bool_] | None = None,
    ) -> None:
        """Adjust logits and take ids out of `may`, both of shape (batch, ids), in place.

        Where as many notes sound as may, waits are no shorter than `outlook.least_wait`: behind a shorter one, which a
        note has to follow, none would be left.

        Where the limits leave nothing, a piece that may stop ends; of another one, more notes may sound than asked for,
        and if that leaves nothing, either, no limit is applied. Pieces that are `strict`, shape (batch,), keep to all,
        since they have another way to go on; if it is given, no piece ends.
        """
        anyway = np.zeros(len(may), np.bool_) if strict is None else strict
        pieces = anyway, strict is None, self._has_drums, outlook, self.state
        arguments = logits, may, *pieces, self._end, self._ids, self._limits, self._settings
        self._apply = self._apply or machine_code(_apply, *arguments)
        self._apply(*arguments)

    def advance(self, tokens: NDArray[np.int64]) -> None:
        """Remember the next token of every piece, shape (batch,)."""
        arguments = np.ascontiguousarray(tokens, np.int64), self.state, self._ids, self._settings.density_ticks
        self._advance = self._advance or machine_code(_advance, *arguments)
        self._advance(*arguments)

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Keep these pieces, in this order; one that is named more than once is copied."""
        self.state = State(*(column[rows] for column in self.state))  # type: ignore[arg-type]
        self._has_drums = self._has_drums[rows]


@compiled
def _apply(
    logits: NDArray[np.float32],
    may: NDArray[np.bool_],
    strict: NDArray[np.bool_],
    may_end: bool,
    has_drums: NDArray[np.bool_],
    outlook: Outlook,
    state: State,
    end: int,
    ids: IdTable,
    limits: Limits,
    settings: _Settings,
) -> None:
    """Adjust as `Adjustments.apply` says. `may_end`: whether pieces that may stop end. `has_drums`: of each piece."""
    within, bias = limits.may, limits.bias
    instruments = state.last.shape[1]
    by_instrument, by_pitch = np.empty(instruments), np.zeros((instruments, PITCHES))
    waits = len(by_instrument)
    scale = np.full(waits + 1, settings.inverse_pitch)
    scale[waits] = settings.inverse_time
    is_tempered = settings.inverse_instrument != 1.0 or (scale != 1.0).any()
    total, tempered = np.empty(waits + 1), np.empty(waits + 1)
    by_class = np.empty(CLASSES)
    for row in range(len(logits)):
        sounding = int(outlook.sounding[row] if settings.keeps_lengths else state.struck[row])
        # A hit, which does not go on sounding, may follow a short wait; a wait beyond the longest is several tokens.
        least = 0 if has_drums[row] else int(outlook.least_wait[row])
        if least < NO_BOUND:
            least = min(least, settings.longest_wait)
        any_left = strict[row] or _any_fits(may[row], sounding, least, within, ids, settings)
        if not any_left and may_end and outlook.may_stop[row]:
            may[row] = False
            may[row, end] = True
            continue
        if not any_left:
            sounding, least = 0, 0
            any_left = _any_fits(may[row], sounding, least, within, ids, settings)
        _class_bias(state.classes[row], settings.tonality, by_class)
        push = _density_bias(state.rate[row], state.now[row], settings)
        for instrument in range(instruments):
            wish = -settings.outside
            if state.asked[row, instrument]:
                silent = (state.now[row] - state.last[row, instrument]) / settings.patience
                wish = settings.missing * min(max(2.0 * silent - 1.0, 0.0), 1.0)
            by_instrument[instrument] = wish + push
            if settings.repetition > 0:
                _phrase_penalty(state, row, instrument, settings, by_pitch)
        if is_tempered:
            _log_sums(logits[row], may[row], ids, scale, total, tempered)
        for token in range(len(within)):
            if not may[row, token]:
                continue
            if any_left and not _fits(token, sounding, least, within, ids, settings):
                may[row, token] = False
                continue
            value, instrument = np.float64(logits[row, token]), ids.instrument[token]
            if instrument >= 0:
                if is_tempered:
                    # The instrument's own share, then that of the note among its notes
                    value = value * settings.inverse_pitch - tempered[instrument]
                    value += total[instrument] * settings.inverse_instrument
                value += by_instrument[instrument] + by_pitch[instrument, ids.pitch[token]]
                if not ids.drum[instrument]:
                    value += by_class[ids.pitch[token] % CLASSES]
            elif ids.ticks[token] > 0:
                if is_tempered:
                    value = value * settings.inverse_time - tempered[waits] + total[waits]
                value -= push
            logits[row, token] = value + bias[token]


@compiled
def _any_fits(
    may: NDArray[np.bool_], voices: int, least_wait: int, within: NDArray[np.bool_], ids: IdTable, settings: _Settings
) -> bool:
    """Return True if one of the ids in `may`, shape (ids,), is within all limits."""
    for token in range(len(within)):  # noqa: SIM110 (numba compiles no `any` of a generator)
        if may[token] and _fits(token, voices, least_wait, within, ids, settings):
            return True
    return False


@compiled
def _fits(
    token: int, voices: int, least_wait: int, within: NDArray[np.bool_], ids: IdTable, settings: _Settings
) -> bool:
    """Return True if an id is within all limits."""
    too_many = ids.onsets[token] > 0 and settings.most_voices > 0 and voices + ids.onsets[token] > settings.most_voices
    too_short = 0 < ids.ticks[token] < least_wait
    return bool(within[token] and not too_many and not too_short)


@compiled
def _density_bias(rate: float, now: int, settings: _Settings) -> float:
    """Return the nats that bring the density towards what is wished for."""
    if settings.density <= 0:
        return 0.0
    # At first the average has not seen a whole time constant.
    seen = 1.0 - np.exp(-(now + 1.0) / settings.density_ticks)
    gap = DENSITY_GAIN * np.log(settings.density / max(rate / seen, settings.density / 50.0))
    return float(min(max(gap, -MOST_DENSITY_BIAS), MOST_DENSITY_BIAS))


@compiled
def _class_bias(classes: NDArray[np.float64], tonality: float, by_class: NDArray[np.float64]) -> None:
    """Write the nats of each pitch class, 0 for one whose share among the notes heard is a twelfth."""
    mean = (classes.sum() + CLASSES * CLASS_PRIOR) / CLASSES
    for pitch_class in range(CLASSES):
        by_class[pitch_class] = tonality * np.log((classes[pitch_class] + CLASS_PRIOR) / mean)


@compiled
def _phrase_penalty(
    state: State, row: int, instrument: int, settings: _Settings, by_pitch: NDArray[np.float64]
) -> None:
    """Write the bias of each next pitch of an instrument: a penalty for the times its phrase was heard too often."""
    by_pitch[instrument] = 0.0
    count = state.played[row, instrument]
    heard = state.heard[row, instrument]
    first = max(count - HEARD, 0)
    if count - first <= PHRASE:
        return
    last = heard[(count - 1) % HEARD]
    for end in range(first + PHRASE - 1, count - 1):
        same = True
        for back in range(PHRASE - 1):
            own = heard[(count - 1 - back) % HEARD] - heard[(count - 2 - back) % HEARD]
            if heard[(end - back) % HEARD] - heard[(end - back - 1) % HEARD] != own:
                same = False
                break
        if same:
            pitch = last + heard[(end + 1) % HEARD] - heard[end % HEARD]
            if 0 <= pitch < PITCHES:
                by_pitch[instrument, pitch] -= 1.0
    for pitch in range(PITCHES):
        by_pitch[instrument, pitch] = settings.repetition * min(by_pitch[instrument, pitch] + settings.repeats, 0.0)


@compiled
def _log_sums(
    logits: NDArray[np.float32],
    may: NDArray[np.bool_],
    ids: IdTable,
    scale: NDArray[np.float64],
    plain: NDArray[np.float64],
    scaled: NDArray[np.float64],
) -> None:
    """Write, of the notes of each instrument and, behind them, of the waits that may come next, the log of the summed
    exponentials of logits and of logits times `scale`; all of shape (instruments + 1,)."""
    waits = len(plain) - 1
    peak = np.full(len(plain), -np.inf)
    for token in range(len(may)):
        owner = waits if ids.instrument[token] < 0 < ids.ticks[token] else ids.instrument[token]
        if may[token] and owner >= 0:
            peak[owner] = max(peak[owner], np.float64(logits[token]))
    plain[:], scaled[:] = 0.0, 0.0
    for token in range(len(may)):
        owner = waits if ids.instrument[token] < 0 < ids.ticks[token] else ids.instrument[token]
        if may[token] and owner >= 0:
            plain[owner] += np.exp(logits[token] - peak[owner])
            scaled[owner] += np.exp((logits[token] - peak[owner]) * scale[owner])
    for owner in range(len(plain)):
        if plain[owner] > 0:
            plain[owner] = peak[owner] + np.log(plain[owner])
            scaled[owner] = peak[owner] * scale[owner] + np.log(scaled[owner])


@compiled
def _advance(tokens: NDArray[np.int64], state: State, ids: IdTable, density_ticks: float) -> None:
    for row in range(len(tokens)):
        token = tokens[row]
        if token >= len(ids.ticks):
            continue
        passed, onsets, instrument = ids.ticks[token], ids.onsets[token], ids.instrument[token]
        if passed > 0:
            state.now[row] += passed
            state.rate[row] *= np.exp(-passed / density_ticks)
            state.struck[row] = 0
        state.struck[row] += onsets
        state.rate[row] += onsets / density_ticks
        if instrument >= 0:
            state.last[row, instrument] = state.now[row]
            state.heard[row, instrument, state.played[row, instrument] % HEARD] = ids.pitch[token]
            state.played[row, instrument] += 1
            if not ids.drum[instrument]:
                for pitch_class in range(CLASSES):
                    state.classes[row, pitch_class] *= 1.0 - 1.0 / CLASS_MEMORY
                state.classes[row, ids.pitch[token] % CLASSES] += 1.0
