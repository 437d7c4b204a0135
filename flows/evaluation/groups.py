"""The real pieces of each style, from the shards of a dataset version: held-out ones, and others for the floor."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from flows.evaluation.settings import EvaluationSettings
from infra.errors import UserError, unknown_name
from infra.wording import counted
from tokenization.dataset import (
    ORIGINAL,
    TEST,
    TRAIN,
    VALIDATION,
    DatasetVersion,
    TokenFormat,
    read_shard,
    token_arrays,
)
from tokenization.vocabulary import Tokens

UNLABELLED = "(none)"
OTHERS = "(small styles)"
"""Group of the styles that have too few pieces for one of their own."""
LABELS = ("piece_id", "family", "style", *ORIGINAL)


@dataclass(frozen=True)
class RealPiece:
    """A piece of the dataset, as its shard has it."""

    piece_id: str
    family: str
    style: str | None
    tokens: Tokens


@dataclass(frozen=True)
class RealGroup:
    """The real pieces of a style, one of each family."""

    name: str
    held_out: list[RealPiece]
    others: list[RealPiece]
    """Of the training split, at most as many as pieces are composed."""


def read_groups(
    version: DatasetVersion, settings: EvaluationSettings, leaked: frozenset[str] = frozenset()
) -> tuple[list[RealGroup], list[str]]:
    """Return the groups of a version on this machine's disk, and a notice for each style that is left out.

    Pieces are drawn by the settings' seed. `leaked`: held-out pieces that do not count, nor do others of their
    families. Raises UserError for a style that the dataset has not, and for a dataset
    with too few held-out pieces.
    """
    known = version.vocabulary.styles
    for style in settings.styles:
        if style not in known:
            raise unknown_name(f"style of {version.name}", style, known)
    random = np.random.default_rng(settings.seed)
    held_out = _labels(version, (VALIDATION, TEST), settings.styles, random, leaked)
    others = _labels(version, (TRAIN,), settings.styles, random)
    counts = [dict(each.group_by("group").len().iter_rows()) for each in (held_out, others)]
    names = sorted({*counts[0], *counts[1]})
    large = [name for name in names if all(count.get(name, 0) >= settings.least for count in counts)]
    small = [name for name in names if name not in large]
    chosen: dict[str, list[str]] = {name: [name] for name in large}
    notices = []
    if small:
        together = [int(sum(count.get(name, 0) for name in small)) for count in counts]
        if min(together) >= settings.least:
            chosen[OTHERS] = small
            notices.append(f"{OTHERS} are {', '.join(small)}")
        else:
            notices.append(
                f"left out, with fewer than {settings.least} held-out or training pieces: {', '.join(small)}"
            )
    if not chosen:
        raise UserError(
            f"{version} has {counted(len(held_out), 'held-out family', 'held-out families')} and "
            f"{len(others)} in training; an evaluation needs {settings.least} of each: ingest more, or hold out more "
            "with `--set splits.validation=0.2`"
        )
    groups = []
    for name, labels in chosen.items():
        drawn = [each.filter(pl.col("group").is_in(labels)).head(settings.pieces) for each in (held_out, others)]
        groups.append(RealGroup(name, *(_read(version, each) for each in drawn)))
    return groups, notices


def known_styles(
    version: DatasetVersion, settings: EvaluationSettings, models: Mapping[str, Collection[str]]
) -> tuple[EvaluationSettings, list[str]]:
    """Leave out the styles that one of the models does not have; `models`: their styles by name.

    Return the settings with a notice for each model. Raises UserError for a style that was asked for.
    """
    styles, notices = settings.styles or version.vocabulary.styles, []
    for name, known in models.items():
        missing = [style for style in styles if style not in known]
        if missing and settings.styles:
            raise unknown_name(f"style of {name}", missing[0], known)
        if missing:
            styles = tuple(style for style in styles if style in known)
            notices.append(f"left out, as {name} does not have them: {', '.join(missing)}")
    if not styles and notices:
        raise UserError(f"{' and '.join(models)} have no style of {version} in common")
    return (settings.model_copy(update={"styles": tuple(styles)}) if notices else settings), notices


def read_test_pieces(version: DatasetVersion, settings: EvaluationSettings) -> tuple[list[RealPiece], str]:
    """Return the pieces whose likelihood is measured, in order of style, with the name of their split.

    They are one of each family in the test split, as many of a style as are composed; of the validation split where
    nothing was put aside for tests.
    """
    for split in (TEST, VALIDATION):
        rows = _labels(version, (split,), settings.styles, np.random.default_rng([settings.seed, 2]))
        if len(rows):
            chosen = (
                rows.group_by("group", maintain_order=True).head(settings.pieces).sort("group", maintain_order=True)
            )
            return _read(version, chosen), split
    return [], TEST


def training_tokens(version: DatasetVersion, most: int, seed: int) -> list[Tokens]:
    """Return training pieces in an order drawn by seed, without augmented copies, of about `most` tokens together."""
    labels = _labels(version, (TRAIN,), (), np.random.default_rng(seed))
    enough = labels.filter(pl.col("n_tokens").cum_sum() - pl.col("n_tokens") < most)
    return [piece.tokens for piece in _read(version, enough)]


def merged(groups: Sequence[RealGroup], name: str, most: int, seed: int) -> RealGroup:
    """Return one group of the pieces of several, at most so many of each kind, drawn by seed."""
    random = np.random.default_rng(seed)

    def some(pieces: Iterable[RealPiece]) -> list[RealPiece]:
        listed = list(pieces)
        return [listed[index] for index in random.permutation(len(listed))[:most].tolist()]

    return RealGroup(
        name,
        some(piece for group in groups for piece in group.held_out),
        some(piece for group in groups for piece in group.others),
    )


def _labels(
    version: DatasetVersion,
    splits: Sequence[str],
    styles: Sequence[str],
    random: np.random.Generator,
    leaked: frozenset[str] = frozenset(),
) -> pl.DataFrame:
    """Return a row for each family in some splits, in random order: its first piece, where the shards have it."""
    tables = []
    for path in (path for split in splits for path in version.shards(split)):
        with pq.ParquetFile(version.path / path) as file:
            table = pl.DataFrame(pl.from_arrow(file.read(columns=[*LABELS, "n_tokens"])))
        tables.append(table.with_row_index("row").with_columns(pl.lit(path).alias("path")))
    if not tables:
        return pl.DataFrame(schema={"group": pl.String, "n_tokens": pl.Int32, "path": pl.String, "row": pl.UInt32})
    rows = pl.concat(tables).filter(**ORIGINAL)
    rows = rows.with_columns(pl.col("style").fill_null(UNLABELLED).alias("group"))
    if leaked:
        families = rows.filter(pl.col("piece_id").is_in(list(leaked)))["family"]
        rows = rows.filter(~pl.col("family").is_in(families.implode()))
    if styles:
        rows = rows.filter(pl.col("group").is_in(styles))
    return rows[random.permutation(len(rows))].unique("family", keep="first", maintain_order=True)


def _read(version: DatasetVersion, rows: pl.DataFrame) -> list[RealPiece]:
    """Read the tokens of some rows, in their order."""
    stamp = TokenFormat.of(version.encoding)
    tokens: dict[tuple[str, int], Tokens] = {}
    for path, group in rows.group_by("path"):
        table = read_shard(version.path / str(path[0]), stamp, ("tokens",))
        wanted = group["row"].sort().to_list()
        for row, found in zip(wanted, token_arrays(table.take(wanted))):
            tokens[str(path[0]), row] = found.copy()
    return [
        RealPiece(row["piece_id"], row["family"], row["style"], tokens[row["path"], row["row"]])
        for row in rows.to_dicts()
    ]
