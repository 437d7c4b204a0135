"""Archives on disk: Parquet files by the shard contract, with columns that say how each generation was made.

A file is written whole or not at all, and named by the step of the weights. What an archive holds at a step is a
function of its files up to that step: of more than `most` generations those with the highest keys stay, a key being
random plus the number of the filling, so that older generations are ever rarer. What has once been left out is left out
at every later step, and may be removed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from infra.errors import RunError
from infra.files import staging_file
from tokenization.dataset.shards import Row, TokenFormat, read_shard, token_arrays, write_shard
from tokenization.vocabulary import Tokens

RUN = "musenet.run"
"""Key of the run's id in a file's metadata."""
HALF_LIFE = 8
"""Fillings after which a generation is half as likely to be kept."""
FURTHER = {
    **dict.fromkeys(("start", "prompt", "length"), pl.Int32),
    **dict.fromkeys(("step", "candidate"), pl.Int32),
    **dict.fromkeys(
        (
            *("temperature", "top_p", "time_temperature", "pitch_temperature", "tonality", "repetition"),
            *("stay", "stay_seconds", "recall", "returns"),
        ),
        pl.Float64,
    ),
    "repeats": pl.Int64,
    "section_bars": pl.Int64,
    "seed": pl.Int64,
}
"""Columns behind those of a shard, the fields of `Generation`."""


class ArchiveError(RunError, ValueError):
    """An archive of another run or vocabulary, or a damaged one."""


@dataclass(frozen=True)
class Generation:
    """A generated piece up to the end of a window, beside the real piece whose header, length and place it has."""

    piece_id: str
    """Of the real piece."""
    family: str
    """Of the real piece."""
    style: str | None
    instrumentation: str
    tokens: Tokens
    """From the header on; those before `prompt` are the real piece's."""
    start: int
    """First body token of the window."""
    prompt: int
    """Tokens that were given, header included."""
    length: int
    """Tokens that were planned for the whole piece: those of the real one."""
    step: int
    """Of the weights that made it."""
    temperature: float
    top_p: float
    time_temperature: float
    pitch_temperature: float
    tonality: float
    repetition: float
    repeats: int
    stay: float
    stay_seconds: float
    recall: float
    section_bars: int
    returns: float
    seed: int
    candidate: int
    """Its number among those of the seed."""

    @property
    def row(self) -> Row:
        """The columns of a shard."""
        return Row(self.piece_id, self.family, self.style, self.instrumentation, self.tokens)


@dataclass(frozen=True)
class Archive:
    """The generations of one run in a folder, which need not exist."""

    folder: Path
    run_id: str
    token_format: TokenFormat
    every: int = 1
    """Steps from one filling of a training to the next."""

    def path(self, name: str) -> Path:
        """Return the file of a name."""
        return self.folder / f"{name}.parquet"

    @staticmethod
    def name_of(step: int) -> str:
        """Return the name of the file of a filling in training."""
        return f"step{step:08d}"

    def has(self, name: str) -> bool:
        """Return True if a file is there; files are whole."""
        return self.path(name).exists()

    def write(self, name: str, generations: Sequence[Generation]) -> None:
        """Write a file, in place of one of that name; all of it is there afterwards, or nothing."""
        further = pl.DataFrame(
            {column: [getattr(each, column) for each in generations] for column in FURTHER}, schema=FURTHER
        )
        with staging_file(self.path(name)) as staged:
            write_shard(staged, [each.row for each in generations], self.token_format, further, {RUN: self.run_id})

    def read(self, name: str) -> list[Generation]:
        """Read the generations of a file. Raises ArchiveError for one of another run or vocabulary."""
        path = self.path(name)
        columns = [field.name for field in fields(Generation)]
        try:
            table = read_shard(path, self.token_format, columns)
            found = (pq.read_schema(path).metadata or {}).get(RUN.encode(), b"").decode()
        except (ValueError, KeyError, OSError) as error:
            raise ArchiveError(f"{error}; remove {path.parent}, and it is filled anew") from error
        if found != self.run_id:
            raise ArchiveError(
                f"{path} has generations of run {found or '(none)'}, not of {self.run_id}: its critic would learn from "
                f"another model; remove {path.parent}, and it is filled anew"
            )
        tokens = token_arrays(table)
        rows = table.drop(["tokens"]).to_pylist()
        return [Generation(**row, tokens=own.copy()) for row, own in zip(rows, tokens, strict=True)]

    def steps(self, until: int) -> list[int]:
        """Return the steps up to one at which the archive was filled, ascending."""
        found = (int(path.stem.removeprefix("step")) for path in self.folder.glob("step*.parquet"))
        return sorted(step for step in found if step <= until)

    def at(self, step: int, most: int) -> list[Generation]:
        """Return the generations that the archive holds at a step of training. Raises ArchiveError."""
        return kept(((each // self.every, self.read(self.name_of(each))) for each in self.steps(step)), most)

    def thin(self, step: int, most: int) -> None:
        """Remove what the archive no longer holds at a step, to which training may still go back; whole files alone.

        Raises ArchiveError.
        """
        stays = {generation.step for generation in self.at(step, most)}
        for each in self.steps(step):
            if each not in stays:
                self.path(self.name_of(each)).unlink(missing_ok=True)


def kept(files: Iterable[tuple[int, Sequence[Generation]]], most: int) -> list[Generation]:
    """Return the `most` generations of highest key, in the order of their making.

    `files`: the number and the generations of each filling, oldest first. Keys are those of weighted sampling without
    replacement (Efraimidis and Spirakis, 2006), whose weights double every HALF_LIFE fillings.
    """
    ordered = [(number, each) for number, generations in files for each in generations]
    keys = [_gumbel(each) + math.log(2) / HALF_LIFE * number for number, each in ordered]
    chosen = sorted(range(len(keys)), key=lambda index: keys[index], reverse=True)[:most]
    return [ordered[index][1] for index in sorted(chosen)]


def _gumbel(generation: Generation) -> float:
    """Return a number of the standard Gumbel distribution, a function of the generation alone."""
    text = f"{generation.step}/{generation.seed}/{generation.candidate}/{generation.piece_id}"
    drawn = (int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") + 0.5) / 2**48
    return -math.log(-math.log(drawn))
