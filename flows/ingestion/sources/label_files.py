"""Label files: CSV or Parquet files that give something to each path of a collection, a style or a licence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from flows.ingestion.sources.storage import one_line, open_binary
from infra.errors import UserError
from infra.wording import counted


def labels_of(paths: pl.Series, location: str, column: str) -> pl.Series:
    """Return the label of each path from the file at `location`, columns `path` and `column`; null without a row.

    Raises UserError for a file that cannot be read, gives a path two labels, or has none of the paths.
    """
    labels = _read(location, column)
    found = paths.to_frame("path").join(labels, on="path", how="left", maintain_order="left")[column]
    if found.null_count() == len(found):
        theirs = repr(labels["path"][0]) if len(labels) else "none"
        raise UserError(f"{location} has a {column} for no file; its paths: {theirs}, the collection's: {paths[0]!r}")
    return found


def unused_labels(paths: pl.Series, columns: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the paths that label files name and no file has, by the location of the label file.

    `columns`: the column of each label file, by its location.
    """
    named = {location: _read(location, column)["path"].drop_nulls() for location, column in columns.items()}
    unused = {location: theirs.filter(~theirs.is_in(paths.implode())).to_list() for location, theirs in named.items()}
    return {location: names for location, names in unused.items() if names}


def describe_unused(unused: Mapping[str, Sequence[str]]) -> list[str]:
    """Describe the result of `unused_labels`, a line for each label file."""
    return [
        f"{location}: {counted(len(names), 'label')} for no file, "
        f"{'as' if len(names) > 1 else 'that is'} for {names[0]!r}"
        for location, names in unused.items()
    ]


def _read(location: str, column: str) -> pl.DataFrame:
    try:
        with open_binary(location) as file:
            is_parquet = location.lower().endswith(".parquet")
            frame = pl.read_parquet(file) if is_parquet else pl.read_csv(file, infer_schema=False)
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"the labels {location} do not exist") from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(f"the labels {location} cannot be read: {one_line(error)}") from None
    for wanted in ("path", column):
        if wanted not in frame.columns:
            raise UserError(f"the labels {location} have no column {wanted!r}; there are: {', '.join(frame.columns)}")
    labels = frame.select(pl.col("path", column).cast(pl.String)).unique(maintain_order=True)
    twice = labels.filter(pl.col("path").is_duplicated())
    if len(twice):
        raise UserError(f"the labels {location} give {twice['path'][0]!r} two {column}s")
    return labels
