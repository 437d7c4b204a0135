"""Style labels: the style of every file of a collection, found by its rules."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from flows.ingestion.sources.archives import ARCHIVE
from flows.ingestion.sources.collections import Collection, StyleRule
from flows.ingestion.sources.label_files import labels_of
from tokenization.vocabulary import style_label


def style_labels(collection: Collection, paths: pl.Series, in_archive: pl.Series, own_name: str) -> pl.Series:
    """Return the style label of each path; null where no rule gives one.

    `in_archive`: true for members of archives. `own_name`: the name of the location, for files in no folder below it.
    Labels are normalised once per distinct label, not per file. Raises UserError for a file of labels that cannot be
    read or has none of the paths.
    """
    if not collection.styles:
        return _normalised(_first_folders(paths, in_archive, own_name), collection.synonyms)
    styles = pl.repeat(None, len(paths), dtype=pl.String, eager=True)
    for rule in collection.styles:
        found = _normalised(_found(rule, paths), collection.synonyms)
        styles = styles.zip_with(styles.is_not_null(), found)
    return styles


def _found(rule: StyleRule, paths: pl.Series) -> pl.Series:
    if rule.label is not None:
        return pl.repeat(rule.label, len(paths), dtype=pl.String, eager=True)
    if rule.pattern is not None:
        return paths.str.extract(rule.pattern, rule.group)
    assert rule.labels is not None
    return labels_of(paths, rule.labels, "style")


def _first_folders(paths: pl.Series, in_archive: pl.Series, own_name: str) -> pl.Series:
    folders = paths.str.extract("^([^/]+)/")
    folders = folders.str.replace(ARCHIVE.pattern, "").zip_with(in_archive, folders)
    return folders.fill_null(own_name)


def _normalised(labels: pl.Series, synonyms: Mapping[str, str]) -> pl.Series:
    different = labels.unique().drop_nulls().to_list()
    clean = [style_label(label) for label in different]
    return labels.replace_strict(
        different, [synonyms.get(label, label) or None for label in clean], default=None, return_dtype=pl.String
    )
