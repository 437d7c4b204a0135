"""Licences of files: of their collection, or of each file by itself, under the names that SPDX gives them."""

from __future__ import annotations

import polars as pl

from flows.ingestion.licences import licence_name
from flows.ingestion.sources.collections import Collection
from flows.ingestion.sources.label_files import labels_of


def licence_columns(collection: Collection, paths: pl.Series) -> list[pl.Series]:
    """Return the columns `licence`, by `licence_name`, and `stated_licence`, null where that is the same.

    A name is looked up once for each different licence. Raises UserError for a file of licences that cannot be read
    or has none of the paths.
    """
    stated = pl.repeat(collection.licence, len(paths), dtype=pl.String, eager=True)
    if collection.licences is not None:
        own = labels_of(paths, collection.licences, "licence")
        stated = own.zip_with(own.is_not_null(), stated)
    different = stated.unique().to_list()
    names = stated.replace_strict(different, [licence_name(text) for text in different], return_dtype=pl.String)
    kept = pl.repeat(None, len(paths), dtype=pl.String, eager=True)
    return [names.alias("licence"), stated.zip_with(stated != names, kept).alias("stated_licence")]
