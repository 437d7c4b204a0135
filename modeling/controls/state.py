"""What the controls read at each token: their settings as numbers, and what is remembered of each piece."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modeling.controls.form import NEW
from modeling.controls.harmony import NEVER
from modeling.controls.phrases import HEARD
from modeling.controls.recall import Score, empty_score
from modeling.controls.wishes import Controls
from tokenization.encodings import Encoding, Time
from tokenization.encodings.texture import CLASSES
from tokenization.vocabulary import VocabularyError

REPEATS = 2
"""Times that a phrase may be heard without a penalty where nothing is said."""
STAY_SECONDS = 5.0
"""Time that music may stay on three pitch classes without a penalty where nothing is said."""
DENSITY_SECONDS = 4.0
"""Time constant of the measured density."""
PATIENCE = 8.0
"""Seconds of silence after which an instrument that was asked for is missing in full; the bias begins at half."""


class Settings(NamedTuple):
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
    stay: float
    stay_ticks: float
    recall: float
    beat: int
    """Ticks of a beat."""


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
    struck_at: NDArray[np.int64]
    """The tick at which each pitch class was last struck, at first that of the first pitched note, shape (batch,
    CLASSES); NEVER before it."""
    plan: NDArray[np.int64]
    """The section that each one recalls, shape (batch, sections)."""
    section_bars: NDArray[np.int64]
    """Bars of a section."""
    score: Score


def settings_of(encoding: Encoding, controls: Controls) -> Settings:
    """Return controls in the ticks of an encoding. Raises VocabularyError for a form where time is in seconds."""
    knows_bars = encoding.time is not Time.SECONDS
    if controls.form is not None and not knows_bars:
        raise VocabularyError("the model's time is in seconds, which knows no bars: leave out the form")
    per_second, beat = encoding.ticks_per_second, encoding.vocabulary.ticks_per_beat
    return Settings(
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
        controls.stay or 0.0,
        (STAY_SECONDS if controls.stay_seconds is None else controls.stay_seconds) * per_second,
        (controls.recall or 0.0) if knows_bars else 0.0,
        beat,
    )


def new_state(asked: NDArray[np.bool_]) -> State:
    """Return the state of pieces that have not begun; `asked`: the instruments that were asked for, shape (batch,
    instruments)."""
    batch, instruments = asked.shape
    return State(
        asked,
        np.zeros(batch, np.int64),
        np.zeros(batch, np.int64),
        np.zeros(batch),
        np.zeros((batch, instruments), np.int64),
        np.zeros((batch, instruments, HEARD), np.int16),
        np.zeros((batch, instruments), np.int64),
        np.zeros((batch, CLASSES)),
        np.full((batch, CLASSES), NEVER),
        np.full((batch, 1), NEW),
        np.ones(batch, np.int64),
        empty_score(batch),
    )


def kept(state: State, rows: NDArray[np.int64]) -> State:
    """Return the state of these pieces, in this order; one that is named more than once is copied."""
    *columns, score = state
    return State._make([*(column[rows] for column in columns), Score._make(column[rows] for column in score)])
