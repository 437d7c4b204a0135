"""The fields of a request as keyword arguments, for functions whose callers name the options themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from modeling.config import AskedRank, Weights


class RequestOptions(TypedDict, total=False):
    """The fields of `PieceRequest` as keyword arguments; all have defaults."""

    time_temperature: float | None
    pitch_temperature: float | None
    instrument_temperature: float
    lowest: int
    highest: int
    key: str | None
    key_strength: float
    strict_key: bool
    softest: int
    loudest: int
    most_voices: int | None
    density: float | None
    outside: float
    missing: float
    repetition: float | None
    repeats: int | None
    stay: float | None
    stay_seconds: float | None
    tonality: float | None
    form: str | None
    recall: float | None
    section_bars: int | None
    returns: float | None
    style: str | None
    instruments: tuple[str, ...] | list[str] | str
    require: bool
    blend: str | None
    length: int | None
    seconds: float | None
    bars: float | None
    tempo: float | None
    temperature: float | None
    top_p: float | None
    top_k: int
    min_p: float
    typical: float
    longest_note: float
    guidance: float
    best_of: int
    rank: AskedRank
    prune: bool
    seed: int
    weights: Weights
    prompt: Path | str | None
    prompt_notes: int | None
    prompt_seconds: float | None
    prompt_bars: float | None
    opening: str | None
    candidate: int
    infill: str | None
    replace: tuple[str, ...] | list[str] | str
    add: tuple[str, ...] | list[str] | str
