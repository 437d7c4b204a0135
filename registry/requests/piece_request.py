"""The request for a piece, in a musician's terms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from infra.digests import canonical_digest
from infra.errors import UserError
from infra.settings import one_line
from modeling.config import AskedRank, DrawingConfig, Weights
from modeling.controls import BEATS_PER_BAR, FORM_NATS, Controls, parse_blend, read_by
from registry.prompts import Prompt
from registry.spans import parse_span
from tokenization.midi.notes import DEFAULT_TEMPO

REQUEST_FORMAT: Final = 2
"""Raised when a request as it was written before would mean another piece."""
INSTRUMENTS_FORMAT: Final = 3
"""Of requests that name instruments, since those are made to be heard."""
DEFAULT_LENGTH = 1024
SHORTEST, LONGEST = 32, 2**17
"""Tokens of a piece at least and at most: an hour or two of music, and hours of computing."""
LONGEST_TIME = 2 * 60 * 60.0
"""Seconds of a piece at most."""
MOST_CANDIDATES = 1024
"""Candidates of a piece at most."""
OPENING_BARS: Final = 4.0
"""Bars of an opening that are taken where nothing else is said."""


def _names(value: Any) -> Any:
    """Split text at its commas: `piano, strings`."""
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return tuple(value) if isinstance(value, list) else value


def _path(value: Any) -> Any:
    return Path(value).expanduser() if isinstance(value, str) else value


class PieceRequest(Controls):
    """One piece to compose. Two requests with the same `digest` ask for the same piece of the same model."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    style: str | None = None
    """A style of the model's dataset; None: the model chooses."""
    instruments: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    """Groups (`strings`) or instruments (`violin`), or text with commas. Empty: those of the prompt, else piano."""
    require: bool = False
    """True if all of the instruments sound, and no others may. By default those given are suggestions, as MuseNet's
    were: they become likelier while they are still to be heard, and others are less likely, by `outside`."""
    blend: Annotated[str, read_by(parse_blend)] | None = None
    """Styles with weights instead of one style, also changing along the piece: see `modeling.controls.parse_blend`."""
    length: int | None = Field(None, ge=SHORTEST, le=LONGEST)
    """Tokens of the piece, prompt included; None: as `seconds` or `bars` say, else DEFAULT_LENGTH behind the prompt."""
    seconds: float | None = Field(None, gt=0, le=LONGEST_TIME)
    """Length in time instead of tokens, prompt included."""
    bars: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Length in bars of four beats at the tempo asked for, prompt included."""
    tempo: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Beats per minute; None: that of the prompt, else 120."""
    temperature: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Of all tokens; None: the model's own, most often 1."""
    top_p: float | None = Field(None, gt=0, le=1)
    """Probability mass of the tokens that are sampled from (nucleus sampling); None: the model's own."""
    top_k: int = Field(0, ge=0, le=2**16)
    """Number of the most probable tokens that are sampled from; 0: all."""
    min_p: float = Field(0.0, ge=0, le=1)
    """Least probability of a token that is sampled, as a share of the most probable one's."""
    typical: float = Field(1.0, gt=0, le=1)
    """Locally typical sampling: probability mass of the tokens that are kept; 1: all."""
    longest_note: float = Field(8.0, gt=0, le=LONGEST_TIME)
    """Seconds after which a sounding note is ended."""
    guidance: float = Field(1.0, ge=1, allow_inf_nan=False)
    """Strength of classifier-free guidance towards style and instruments; 1: none."""
    best_of: int = Field(8, ge=1, le=MOST_CANDIDATES)
    """Candidates, of which one is chosen."""
    rank: AskedRank = "auto"
    """By what it is chosen. `likelihood`: the highest mean log-likelihood of its tokens; `none`: the first; `auto`: the
    critic if it was measured to beat chance, else none."""
    prune: bool = False
    """True to drop the worse half of the candidates after 64, 128 and 192 tokens, so that many more cost as much."""
    seed: int = Field(0, ge=0)
    """Of the random numbers: the same seed gives the same piece."""
    weights: Weights = "auto"
    """Precision of the network's matrices. `int8`: rounded to 8 bits, which is twice as fast and on a CPU only; `auto`:
    that, where it can be."""
    prompt: Annotated[Path | None, BeforeValidator(_path)] = None
    """A MIDI file to continue, or a `.txt` of tokens in their text form; it stands whole in the piece."""
    prompt_notes: int | None = Field(None, ge=1)
    """Notes of the prompt that are taken, from its beginning; None: all."""
    prompt_seconds: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Seconds of the prompt that are taken."""
    prompt_bars: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Bars of four beats of the prompt that are taken."""
    opening: str | None = None
    """A piece of the model's dataset to begin like, `style/name`; its first OPENING_BARS bars unless others are
    given."""
    candidate: int = Field(0, ge=0, lt=2**31)
    """Number of the first candidate; a seed's candidates are the same whichever of them are asked for."""
    infill: Annotated[str, read_by(parse_span)] | None = None
    """Span of the prompt, a whole piece then, that is composed anew, `12s-20s` or `4bars-8bars`: see
    `registry.spans`."""
    replace: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    """Groups or instruments whose notes are composed anew, in `infill` or in all of the prompt."""
    add: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    """Groups or instruments that play besides what is in the prompt, in `infill` or throughout."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        self._exclude("length", "seconds", "bars")
        if self.time is not None and self.time > LONGEST_TIME:
            raise ValueError(f"bars = {self.bars:g} take {self.time:,.0f} s; a piece has at most {LONGEST_TIME:,.0f} s")
        parts = self._exclude("prompt_notes", "prompt_seconds", "prompt_bars")
        if self.prompt is not None and self.opening is not None:
            raise ValueError(f"prompt and opening = {self.opening} exclude each other; give one")
        if parts and not self.has_prompt:
            raise ValueError(f"{parts[0]} is of no use without a prompt")
        if self.is_infill:
            for name in (*self._exclude("length", "seconds", "bars"), *(["instruments"] if self.instruments else [])):
                raise ValueError(f"{name} cannot be given with infill, replace or add: the rest of the piece stays")
            if self.prune:
                raise ValueError("prune cannot be given with infill, replace or add, whose candidates are short")
        if self.prune and self.rank == "none":
            raise ValueError("prune drops the worse candidates: rank = none says of none that it is worse")
        if self.style is not None and self.blend is not None:
            raise ValueError(f"style = {self.style} and blend exclude each other; give one")
        if self.has_prompt and self.tempo is not None:
            raise ValueError(f"tempo = {self.tempo:g} cannot be given with a prompt, whose own tempo goes on")
        return self

    def _exclude(self, *names: str) -> list[str]:
        """Return those fields that are given, as text. Raises ValueError for more than one."""
        given = [f"{name} = {getattr(self, name):g}" for name in names if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; give one")
        return given

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """Return the request of these fields. Raises UserError for those that are unknown, or out of range."""
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise UserError(one_line(error, cls)) from error

    @property
    def has_prompt(self) -> bool:
        """True if the request names music to begin with."""
        return self.prompt is not None or self.opening is not None

    @property
    def is_infill(self) -> bool:
        """True if the prompt is a whole piece, of which a part is composed anew."""
        return self.infill is not None or bool(self.replace or self.add)

    @property
    def prompt_part(self) -> tuple[int | None, float | None, float | None]:
        """The part of the prompt that is taken: its first notes, seconds or bars; all None for all of it."""
        part = self.prompt_notes, self.prompt_seconds, self.prompt_bars
        is_beginning = self.opening is not None and not self.is_infill and part == (None, None, None)
        return (None, None, OPENING_BARS) if is_beginning else part

    @property
    def time(self) -> float | None:
        """Length in seconds, if the piece has one."""
        tempo = DEFAULT_TEMPO if self.tempo is None else self.tempo
        return self.seconds if self.bars is None else self.bars * BEATS_PER_BAR * 60 / tempo

    @property
    def styles(self) -> tuple[str, ...]:
        """The styles that the request names."""
        return parse_blend(self.blend).styles if self.blend is not None else (self.style,) if self.style else ()

    def drawing(self, own: DrawingConfig) -> DrawingConfig:
        """Return how the piece is drawn from a model whose own settings are `own`, where the request gives none."""
        given = {name: getattr(self, name) for name in DrawingConfig.model_fields if name in PieceRequest.model_fields}
        if self.returns is not None:
            given["style_returns"] = {}
        if self.form is not None and self.recall is None:
            given["recall"] = max(own.recall, FORM_NATS)
        return own.model_copy(update={name: value for name, value in given.items() if value is not None})

    def content(self, prompt: Prompt | None) -> dict[str, Any]:
        """Return what identifies the request, as JSON values: the fields that differ from their defaults, with the
        digest of the prompt's bytes instead of its path.

        A field that is added with a default leaves the content of older requests as it was.
        """
        fields = self.model_dump(mode="json", exclude_defaults=True, exclude={"prompt", "length"})
        for name in ("instruments", "replace", "add"):
            if getattr(self, name):
                fields[name] = sorted(set(getattr(self, name)))
        if self.length is not None and (prompt is not None or self.length != DEFAULT_LENGTH):
            fields["length"] = self.length
        return fields | ({"prompt": prompt.sha256} if prompt else {})

    def digest(self, model: str, prompt: Prompt | None) -> str:
        """Return the digest of this request to the model whose files have the digest `model`: 32 hexadecimal digits."""
        written = INSTRUMENTS_FORMAT if self.instruments else REQUEST_FORMAT
        return canonical_digest({"format": written, "request": self.content(prompt), "model": model})
