"""The file `collections.toml`, which describes collections, beside plain sources."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flows.ingestion.licences import UNSTATED
from flows.ingestion.sources.collections import (
    Collection,
    StyleRule,
    collection_of,
    distinct,
    unknown_key,
    validation_fault,
)
from flows.ingestion.sources.storage import is_url
from infra.errors import UserError
from infra.toml_files import toml_content

POLICIES = ("duplicates", "gates", "licences")
"""Tables of settings that may stand beside the collections; see `policies_from`."""


def collections_from(
    sources: Sequence[str | os.PathLike[str]], style: str | None = None, licence: str | None = None
) -> list[Collection]:
    """Return the collections of sources: each a `collections.toml`, or what a `Collection` has for its location.

    Plain sources are named by their file or folder where those names differ, and take `style` and `licence`, which a
    `collections.toml` states for itself. Raises UserError.
    """
    addresses = [os.fspath(source) for source in sources]
    files = [address for address in addresses if address.endswith(".toml")]
    plain = [address for address in addresses if not address.endswith(".toml")]
    if (style or licence) and files:
        raise UserError("style and licence are for plain sources; a collections.toml states them for each collection")
    stems = [Path(source.rstrip("/")).name.split(".")[0] or Path(source).resolve().name or "root" for source in plain]
    names = stems if len(set(stems)) == len(stems) else plain
    collections = [
        collection_of(name, source, licence=licence or UNSTATED, style=style)
        for name, source in zip(names, plain, strict=True)
    ]
    for file in files:
        collections += load_collections(Path(file).expanduser())
    return collections


def load_collections(path: Path) -> list[Collection]:
    """Read the collections of a `collections.toml`:

        [[collection]]
        name = "lakh"
        location = "downloads/lmd_full.tar.gz"   # relative to this file; or a URL: "s3://bucket/midi"
        licence = "CC-BY 4.0"

        [[collection]]
        name = "classical"
        location = "~/midi/classical"
        include = ["*.mid", "*.seq"]             # optional; without it MIDI files by suffix and content
        exclude = ["drafts", "*_old.mid", "opera/wagner/**"]
        licence = "CC0"                          # of files that the next key does not list
        licences = "licences.csv"                # columns path and licence; or Parquet
        [[collection.styles]]                    # rules in order: the first that gives a label counts
        labels = "composers.csv"                 # columns path and style; or Parquet
        [[collection.styles]]
        pattern = '^(?P<style>[^/_]+)_'
        [[collection.styles]]
        label = "classical"

        [synonyms]                               # for all collections; each may add its own [collection.synonyms]
        bachjohannsebastian = "bach"

        [gates]                                  # see `flows.ingestion.gates.Gates`
        min_pieces = 1000

        [licences]                               # see `flows.ingestion.licences.LicencePolicy`
        allow = ["PD", "CC0", "CC-BY-*"]

        [duplicates]                             # see `flows.ingestion.dedup.Duplicates`
        same = [["lakh/a/1.mid", "classical/bach/1.mid"]]

    Relative locations and label files are resolved against the file's folder. Raises UserError that names file,
    table and key, and for a misspelt key the nearest.
    """
    content = _content(path)
    tables = content.get("collection", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UserError(f"{path}: [collection] is one table; write [[collection]], once for each collection")
    if not tables:
        raise UserError(f"{path} describes no collection; add a table [[collection]] with name and location")
    try:  # validated separately, so that a fault in them is not attributed to a collection
        common = Collection.model_validate(
            {"name": "common", "location": "common", "synonyms": content.get("synonyms", {})}
        ).synonyms
    except ValidationError as error:
        raise UserError(f"{path}: {validation_fault(error)}") from None
    return distinct(_collection(path, number, table, common) for number, table in enumerate(tables, start=1))


def policies_from(sources: Sequence[str | os.PathLike[str]]) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Return the tables named in POLICIES that the `collections.toml`s among the sources have, each with its file.

    Raises UserError for one that stands in two files.
    """
    found: dict[str, tuple[Path, dict[str, Any]]] = {}
    for path in (Path(os.fspath(source)).expanduser() for source in sources if os.fspath(source).endswith(".toml")):
        for name, table in _content(path).items():
            if name not in POLICIES:
                continue
            if not isinstance(table, dict):
                raise UserError(f"{path}: {name} is a table; write [{name}], and its settings below")
            if name in found:
                raise UserError(f"both {found[name][0]} and {path} have a table [{name}]; keep it in one of them")
            found[name] = path, table
    return found


def _content(path: Path) -> dict[str, Any]:
    content = toml_content(path)
    known = ("collection", "synonyms", *POLICIES)
    for key in content.keys() - {*known}:
        raise UserError(f"{path}: {unknown_key(key, known)}")
    return content


def _collection(path: Path, number: int, table: Mapping[str, Any], common: Mapping[str, str]) -> Collection:
    name = table.get("name")
    where = f"{path}: [[collection]] " + (repr(name) if isinstance(name, str) and name else f"number {number}")
    try:
        own = Collection.model_validate(table)
    except ValidationError as error:
        raise UserError(f"{where}: {validation_fault(error)}") from None
    rules = tuple(rule if rule.labels is None else StyleRule(labels=_beside(path, rule.labels)) for rule in own.styles)
    changes = {
        "location": _beside(path, own.location),
        "licences": None if own.licences is None else _beside(path, own.licences),
        "styles": rules,
        "synonyms": {**common, **own.synonyms},
    }
    return own.model_copy(update=changes)


def _beside(path: Path, location: str) -> str:
    return location if is_url(location) else str(path.resolve().parent / Path(location).expanduser())
