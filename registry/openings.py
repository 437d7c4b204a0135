"""Openings: the pieces of a model's dataset, by name, as prompts.

A piece is called `style/stem`, after its style and the name of its file; where several are called alike, the first
digits of their digests tell them apart (`bach/prelude-3f2a1c`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import polars as pl

from infra.errors import RunError, unknown_name
from registry.prompts import Prompt
from tokenization.dataset import ORIGINAL, TRAIN, DatasetVersion, TokenFormat, read_shard, token_arrays
from tokenization.dataset.manifest import ACCEPTED
from tokenization.vocabulary import Tokens

DIGITS = 6
"""Of a digest, in the names of pieces that are called alike."""
UNLABELLED = "unlabelled"
"""In place of a style, in the names of pieces that have none."""


@dataclass(frozen=True)
class Opening:
    """A piece of a dataset."""

    name: str
    split: str
    piece: str
    """SHA-256 of its file."""
    style: str | None
    notes: int
    seconds: float

    @property
    def is_trained_on(self) -> bool:
        """True if models of the dataset have learned from this very piece."""
        return self.split == TRAIN


def list_openings(version: DatasetVersion) -> list[Opening]:
    """Return the pieces of a dataset version, sorted by name."""
    accepted = version.manifest.filter(ACCEPTED).unique("sha256", keep="first", maintain_order=True)
    columns = accepted.select("path", "style", "split", "sha256", "notes", "seconds").rows()
    names = [f"{style or UNLABELLED}/{PurePosixPath(path).stem}" for path, style, *_ in columns]
    alike = pl.Series(names).is_duplicated().to_list() if names else []
    found = [
        Opening(f"{name}-{sha256[:DIGITS]}" if is_alike else name, split, sha256, style, notes, seconds)
        for name, is_alike, (_, style, split, sha256, notes, seconds) in zip(names, alike, columns)
    ]
    return sorted(found, key=lambda opening: opening.name)


def find_opening(version: DatasetVersion, name: str) -> Opening:
    """Return the piece of a name. Raises UserError with the nearest names."""
    openings = {opening.name: opening for opening in list_openings(version)}
    if name not in openings:
        raise unknown_name(f"piece in {version.name}", name, openings)
    return openings[name]


def read_opening(version: DatasetVersion, opening: Opening) -> Prompt:
    """Return a piece of a version on this machine's disk as a prompt. Raises RunError for a damaged version."""
    expected = TokenFormat.of(version.encoding)
    for shard in version.shards(opening.split):
        rows = pl.from_arrow(read_shard(version.path / shard, expected, ("piece_id", *ORIGINAL)))
        assert isinstance(rows, pl.DataFrame)
        wanted = rows.select(
            (pl.col("piece_id") == opening.piece)
            & pl.all_horizontal(pl.col(column) == value for column, value in ORIGINAL.items())
        ).to_series()
        if wanted.any():
            table = read_shard(version.path / shard, expected, ("tokens",))
            tokens: Tokens = next(token_arrays(table.slice(int(wanted.arg_max() or 0), 1)))
            return Prompt.of_tokens(np.asarray(tokens), version.vocabulary, opening.name)
    raise RunError(f"{version} has no row of {opening.name}: ingest its collections again")
