"""A request for a composition, in a musician's terms."""

from __future__ import annotations

from dataclasses import dataclass, field

from modeling.config import AskedRank
from modeling.generation.direction import Direction
from modeling.generation.executors import ExecutorConfig
from modeling.generation.frame import Infill
from modeling.generation.sampling import SamplingConfig
from tokenization.midi.notes import DEFAULT_TEMPO
from tokenization.vocabulary import Tokens


@dataclass(frozen=True)
class Request:
    """Style, instruments and length of a piece, and the way to generate it."""

    style: str | None
    instruments: tuple[str, ...]
    """Groups or instruments. Empty: those of the prompt, else piano."""
    length: int
    """Tokens of the piece, prompt included; with a length in time a first estimate of them."""
    best_of: int
    """Candidates to generate, of which the best is wanted."""
    seed: int
    tempo: float = DEFAULT_TEMPO
    """Beats per minute; of a prompt its own tempo is used."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    prompt: Tokens | None = None
    """Header and music to begin with, without `end`; the music stands whole in the piece."""
    first: int = 0
    """Number of the first candidate among those of the seed."""
    stop: int | None = None
    """Tokens after which candidates stop, whatever their planned length; None: at their end."""
    infill: Infill | None = None
    """The part of the prompt, a whole piece then, that is composed anew."""
    direction: Direction = field(default_factory=Direction)
    """Length in time, blend of styles, musical controls."""
    rank: AskedRank = "auto"
    """By what candidates are ranked."""
    prune: bool = False
    """True to drop the worse half of the candidates again and again while they are composed."""
    executor: ExecutorConfig = field(default_factory=ExecutorConfig)
    """How the network is computed."""
