"""Collections: named sets of MIDI files, and `collections.toml`, which describes them."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from flows.ingestion.sources.names import glob_regex
from flows.ingestion.sources.storage import is_url, local_path
from infra.errors import UserError, nearest
from tokenization.vocabulary import style_label

SUFFIXES = (".kar", ".mid", ".midi", ".rmi", ".smf")
"""What a collection takes unless it says otherwise, in any case, besides files without suffix that begin like MIDI."""


class StyleRule(BaseModel):
    """One way to find a file's style label; exactly one of the three is set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pattern: str | None = None
    """A regular expression with a group `style`, searched in the file's path, as in `^(?P<style>[^/]+)/`.
    Rust's syntax: that of Python without look-around and back-references."""
    labels: str | None = None
    """A CSV or Parquet file with the columns `path` (as in the listing) and `style`."""
    label: str | None = None
    """One label for all files."""

    @field_validator("pattern")
    @classmethod
    def _has_a_style_group(cls, pattern: str | None) -> str | None:
        if pattern is not None and "style" not in _groups(pattern):
            raise ValueError(f"the regular expression {pattern!r} has no group (?P<style>…)")
        return pattern

    @field_validator("label")
    @classmethod
    def _normalised(cls, label: str | None) -> str | None:
        return None if label is None else _label(label)

    @model_validator(mode="after")
    def _exactly_one(self) -> StyleRule:
        if [self.pattern, self.labels, self.label].count(None) != 2:
            raise ValueError("a style rule has exactly one of pattern, labels and label")
        return self

    @property
    def group(self) -> int:
        """Number of the group `style` in `pattern`."""
        return _groups(self.pattern or "").index("style") + 1


def _as_text(location: Any) -> Any:
    location = os.fspath(location) if isinstance(location, os.PathLike) else location
    if isinstance(location, str) and not location.isascii():
        try:
            location.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{location!r} is not UTF-8; name the folder above it") from None
    return location


class Collection(BaseModel):
    """A named set of MIDI files from one source."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    location: Annotated[str, BeforeValidator(_as_text), Field(min_length=1)]
    """A folder (searched to any depth, archives in it too), an archive (.zip, .tar, .tar.gz, .tgz), one file (taken
    whatever its suffix), or a URL of these in an object store (`s3://bucket/prefix`)."""
    licence: str = "not stated"
    include: tuple[str, ...] = ()
    """Glob patterns of paths to take; none: MIDI suffixes, and files without suffix that begin like MIDI.
    A pattern without `/` is of the name, one with `/` of the whole path; `*` stays within a folder, `**` does not.
    Upper and lower case are the same."""
    exclude: tuple[str, ...] = ()
    """Glob patterns of files and folders to leave out, archives among them; those without `/` at any depth."""
    styles: tuple[StyleRule, ...] = ()
    """The first rule that finds a label gives it. Without any rule the label is the first folder below the location
    (an archive's name without suffix), else the location's own name."""
    synonyms: dict[str, str] = Field(default_factory=dict)
    """Labels by other labels: `bachjohannsebastian = "bach"`. Applied once, after normalisation."""

    @field_validator("include", "exclude")
    @classmethod
    def _are_globs(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                _groups(glob_regex(pattern))
            except ValueError:
                raise ValueError(f"{pattern!r} is no glob pattern; `*.mid` and `rock/**` are") from None
        return patterns

    @field_validator("synonyms")
    @classmethod
    def _labels(cls, synonyms: Mapping[str, str]) -> dict[str, str]:
        labels: dict[str, str] = {}
        for key, value in synonyms.items():
            if labels.setdefault(_label(key), _label(value)) != _label(value):
                raise ValueError(f"{key!r} has two meanings")
        return labels


def collection_of(
    name: str, location: str | os.PathLike[str], licence: str = "not stated", style: str | None = None
) -> Collection:
    """A collection that no file describes; `style` labels all its files. Raises UserError for what does not fit."""
    rules: tuple[dict[str, str], ...] = () if style is None else ({"label": style},)
    try:
        collection = Collection.model_validate(
            {"name": name, "location": location, "licence": licence, "styles": rules}
        )
    except ValidationError as error:
        raise UserError(f"collection {name!r}: {_fault(error)}") from None
    return collection.model_copy(update={"location": local_path(collection.location) or collection.location})


def distinct(collections: Iterable[Collection]) -> list[Collection]:
    """The collections as a list. Raises UserError for two of one name."""
    collections = list(collections)
    names: set[str] = set()
    for collection in collections:
        if collection.name in names:
            raise UserError(f"two collections are named {collection.name!r}; give each its own name")
        names.add(collection.name)
    return collections


def load_collections(path: Path) -> list[Collection]:
    """The collections of a `collections.toml`:

        [[collection]]
        name = "lakh"
        location = "downloads/lmd_full.tar.gz"   # relative to this file; or a URL: "s3://bucket/midi"
        licence = "CC-BY 4.0"

        [[collection]]
        name = "classical"
        location = "~/midi/classical"
        include = ["*.mid", "*.seq"]             # optional; without it MIDI files by suffix and content
        exclude = ["drafts", "*_old.mid", "opera/wagner/**"]
        [[collection.styles]]                    # rules in order: the first that finds a label gives it
        labels = "composers.csv"                 # columns path and style; or Parquet
        [[collection.styles]]
        pattern = '^(?P<style>[^/_]+)_'
        [[collection.styles]]
        label = "classical"

        [synonyms]                               # for all collections; one may have its own [collection.synonyms]
        bachjohannsebastian = "bach"

    Relative file_refs and label files are taken from the file's own folder. Raises UserError that names file,
    table and key, and for a misspelt key the one that was probably meant.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not TOML: {error}") from None
    for key in content.keys() - {"collection", "synonyms"}:
        raise UserError(f"{path}: {_no_key(key, ['collection', 'synonyms'])}")
    tables = content.get("collection", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UserError(f"{path}: [collection] is one table; write [[collection]], once for each collection")
    if not tables:
        raise UserError(f"{path} describes no collection; add a table [[collection]] with name and location")
    try:  # by themselves, so that a fault in them is not told of a collection
        common = Collection.model_validate(
            {"name": "common", "location": "common", "synonyms": content.get("synonyms", {})}
        ).synonyms
    except ValidationError as error:
        raise UserError(f"{path}: {_fault(error)}") from None
    return distinct(_collection(path, number, table, common) for number, table in enumerate(tables, start=1))


def _collection(path: Path, number: int, table: Mapping[str, Any], common: Mapping[str, str]) -> Collection:
    name = table.get("name")
    where = f"{path}: [[collection]] " + (repr(name) if isinstance(name, str) and name else f"number {number}")
    try:
        own = Collection.model_validate(table)
    except ValidationError as error:
        raise UserError(f"{where}: {_fault(error)}") from None
    rules = tuple(rule if rule.labels is None else StyleRule(labels=_beside(path, rule.labels)) for rule in own.styles)
    changes = {"location": _beside(path, own.location), "styles": rules, "synonyms": {**common, **own.synonyms}}
    return own.model_copy(update=changes)


def _beside(path: Path, location: str) -> str:
    return location if is_url(location) else str(path.resolve().parent / Path(location).expanduser())


def _fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    at = [part for part in fault["loc"] if part != "[key]"]
    if fault["type"] == "extra_forbidden":
        model: type[BaseModel] = StyleRule if "styles" in at[:-1] else Collection
        table = "".join(f"[[collection.{part}]] " for part in at[:-1] if isinstance(part, str))
        return f"{table}{_no_key(str(at[-1]), model.model_fields)}"
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in at)
    return f"{key}: {fault['msg'].removeprefix('Value error, ')}"


def _no_key(key: str, known: Iterable[str]) -> str:
    return f"there is no key {key!r}{nearest(key, known) or '; there are: ' + ', '.join(known)}"


def _label(text: str) -> str:
    label = style_label(text)
    if not label:
        raise ValueError(f"the label {text!r} has neither a letter from a to z nor a digit")
    return label


def _groups(pattern: str) -> list[str]:
    """Names of a regular expression's groups, in order. Raises ValueError."""
    try:
        groups = pl.Series([""]).str.extract_groups(pattern).dtype
    except pl.exceptions.ComputeError as error:
        reason = str(error).strip().splitlines()[-1].removeprefix("error: ")
        raise ValueError(f"{pattern!r} is no regular expression: {reason}") from None
    assert isinstance(groups, pl.Struct)
    return [field.name for field in groups.fields]
