"""Controls applied to the logits of a batch of growing pieces, one token at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from modeling.controls.form import Plans
from modeling.controls.harmony import class_bias, remember_class, stay_bias, strike_class
from modeling.controls.phrases import HEARD, phrase_penalty
from modeling.controls.recall import METRE_BEATS, note_down, recall, tell_metre
from modeling.controls.state import Settings, State, kept, new_state, settings_of
from modeling.controls.tables import IdTable, Limits, id_table, limits_of
from modeling.controls.wishes import Controls
from tokenization.compiled import compiled, machine_code
from tokenization.encodings import Encoding
from tokenization.encodings.outlook import Outlook
from tokenization.encodings.rules import NO_BOUND
from tokenization.encodings.texture import CLASSES
from tokenization.vocabulary import PITCHES

DENSITY_GAIN, MOST_DENSITY_BIAS = 1.5, 3.0
"""Nats for each factor e between the density wished for and that measured, and the most of them."""


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
        instruments). Raises VocabularyError if the controls leave no note, and for a form where time is in seconds.
        """
        self._ids = id_table(encoding)
        self._limits = limits_of(encoding, controls, np.asarray(playable.any(axis=0)))
        self.most_voices = controls.most_voices
        """Most notes that sound at a time; None: any number."""
        self._end = int(encoding.vocabulary.end)
        self._has_drums: NDArray[np.bool_] = np.asarray(playable[:, self._ids.drum].any(axis=1))
        self._settings = settings_of(encoding, controls)
        self.state = new_state(asked)
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
        arguments = np.ascontiguousarray(tokens, np.int64), self.state, self._ids, self._settings
        self._advance = self._advance or machine_code(_advance, *arguments)
        self._advance(*arguments)

    def follow(self, plans: Plans) -> None:
        """Give each piece a form."""
        self.state = self.state._replace(plan=plans.recalled, section_bars=plans.bars)

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Keep these pieces, in this order; one that is named more than once is copied."""
        self.state = kept(self.state, rows)
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
    settings: Settings,
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
    by_class, by_stay = np.empty(CLASSES), np.empty(CLASSES)
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
        class_bias(state.classes[row], settings.tonality, by_class)
        stays = stay_bias(state.struck_at[row], state.now[row], settings.stay, settings.stay_ticks, by_stay)
        push = _density_bias(state.rate[row], state.now[row], settings)
        for instrument in range(instruments):
            wish = -settings.outside
            if state.asked[row, instrument]:
                silent = (state.now[row] - state.last[row, instrument]) / settings.patience
                wish = settings.missing * min(max(2.0 * silent - 1.0, 0.0), 1.0)
            by_instrument[instrument] = wish + push
            if settings.repetition > 0:
                phrase_penalty(
                    state.heard[row, instrument],
                    state.played[row, instrument],
                    settings.repetition,
                    settings.repeats,
                    by_pitch[instrument],
                )
        recalled = 0
        if settings.recall > 0:
            if settings.repetition <= 0:
                by_pitch[:] = 0.0
            if state.score.bar[row] > 0:
                section = state.section_bars[row] * state.score.bar[row] * settings.beat
                recalled = recall(state.score, row, state.now[row], state.plan[row], section, settings.recall, by_pitch)
                recalled = min(recalled, settings.longest_wait)
        weighs = is_tempered or stays
        if weighs:
            _log_sums(logits[row], may[row], ids, scale, by_stay, total, tempered)
        for token in range(len(within)):
            if not may[row, token]:
                continue
            if any_left and not _fits(token, sounding, least, within, ids, settings):
                may[row, token] = False
                continue
            value, instrument = np.float64(logits[row, token]), ids.instrument[token]
            if instrument >= 0:
                if weighs:
                    # The instrument's own share, then that of the note among its notes
                    value = value * settings.inverse_pitch - tempered[instrument]
                    if not ids.drum[instrument]:
                        value += by_stay[ids.pitch[token] % CLASSES]
                    value += total[instrument] * settings.inverse_instrument
                value += by_instrument[instrument] + by_pitch[instrument, ids.pitch[token]]
                if not ids.drum[instrument]:
                    value += by_class[ids.pitch[token] % CLASSES]
            elif ids.ticks[token] > 0:
                if weighs:
                    value = value * settings.inverse_time - tempered[waits] + total[waits]
                value -= push
                if ids.ticks[token] == recalled:
                    value += settings.recall
            logits[row, token] = value + bias[token]


@compiled
def _any_fits(
    may: NDArray[np.bool_], voices: int, least_wait: int, within: NDArray[np.bool_], ids: IdTable, settings: Settings
) -> bool:
    """Return True if one of the ids in `may`, shape (ids,), is within all limits."""
    for token in range(len(within)):  # noqa: SIM110 (numba compiles no `any` of a generator)
        if may[token] and _fits(token, voices, least_wait, within, ids, settings):
            return True
    return False


@compiled
def _fits(
    token: int, voices: int, least_wait: int, within: NDArray[np.bool_], ids: IdTable, settings: Settings
) -> bool:
    """Return True if an id is within all limits."""
    too_many = ids.onsets[token] > 0 and settings.most_voices > 0 and voices + ids.onsets[token] > settings.most_voices
    too_short = 0 < ids.ticks[token] < least_wait
    return bool(within[token] and not too_many and not too_short)


@compiled
def _density_bias(rate: float, now: int, settings: Settings) -> float:
    """Return the nats that bring the density towards what is wished for."""
    if settings.density <= 0:
        return 0.0
    # At first the average has not seen a whole time constant.
    seen = 1.0 - np.exp(-(now + 1.0) / settings.density_ticks)
    gap = DENSITY_GAIN * np.log(settings.density / max(rate / seen, settings.density / 50.0))
    return float(min(max(gap, -MOST_DENSITY_BIAS), MOST_DENSITY_BIAS))


@compiled
def _log_sums(
    logits: NDArray[np.float32],
    may: NDArray[np.bool_],
    ids: IdTable,
    scale: NDArray[np.float64],
    by_stay: NDArray[np.float64],
    plain: NDArray[np.float64],
    scaled: NDArray[np.float64],
) -> None:
    """Write, of the notes of each instrument and, behind them, of the waits that may come next, the log of the summed
    exponentials of logits, and of logits times `scale` plus the nats of each pitch class, `by_stay`; all of shape
    (instruments + 1,)."""
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
            is_pitched = owner < waits and not ids.drum[owner]
            nats = by_stay[ids.pitch[token] % CLASSES] if is_pitched else 0.0
            scaled[owner] += np.exp((logits[token] - peak[owner]) * scale[owner] + nats)
    for owner in range(len(plain)):
        if plain[owner] > 0:
            plain[owner] = peak[owner] + np.log(plain[owner])
            scaled[owner] = peak[owner] * scale[owner] + np.log(scaled[owner])


@compiled
def _advance(tokens: NDArray[np.int64], state: State, ids: IdTable, settings: Settings) -> None:
    recalls = settings.recall > 0
    for row in range(len(tokens)):
        token = tokens[row]
        if token >= len(ids.ticks):
            continue
        passed, onsets, instrument = ids.ticks[token], ids.onsets[token], ids.instrument[token]
        if passed > 0:
            state.now[row] += passed
            state.rate[row] *= np.exp(-passed / settings.density_ticks)
            state.struck[row] = 0
            if recalls and state.score.bar[row] == 0 and state.now[row] >= METRE_BEATS * settings.beat:
                tell_metre(state.score, row)
        state.struck[row] += onsets
        state.rate[row] += onsets / settings.density_ticks
        if instrument >= 0:
            state.last[row, instrument] = state.now[row]
            state.heard[row, instrument, state.played[row, instrument] % HEARD] = ids.pitch[token]
            state.played[row, instrument] += 1
            if recalls:
                note_down(state.score, row, state.now[row], settings.beat, instrument, ids.pitch[token])
            if not ids.drum[instrument]:
                remember_class(state.classes[row], ids.pitch[token] % CLASSES)
                strike_class(state.struck_at[row], ids.pitch[token] % CLASSES, state.now[row])
