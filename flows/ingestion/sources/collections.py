"""Collections: named sets of MIDI files, with the rules by which files are taken and styles found."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import polars as pl
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from flows.ingestion.licences import UNSTATED
from flows.ingestion.sources.glob_patterns import glob_regex
from flows.ingestion.sources.storage import local_path
from infra.errors import UserError, nearest
from tokenization.vocabulary import style_label

SUFFIXES = (".kar", ".mid", ".midi", ".rmi", ".smf")
"""Suffixes taken by default, in any case, besides files without suffix that begin like MIDI."""


class StyleRule(BaseModel):
    """A rule that gives a file its style label; exactly one of the three is set."""

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
        """Number of the group `style` in `pattern`, from 1."""
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
    whatever its suffix), or the URL of these in an object store (`s3://bucket/prefix`)."""
    licence: str = UNSTATED
    """Of all files, or of those that `licences` does not list."""
    licences: str | None = None
    """A CSV or Parquet file with the columns `path` (as in the listing) and `licence`."""
    include: tuple[str, ...] = ()
    """Glob patterns of paths to take; none: MIDI suffixes, and files without suffix that begin like MIDI.
    A pattern without `/` matches the name, one with `/` the whole path; `*` stays within a folder, `**` does not. Case
    is ignored."""
    exclude: tuple[str, ...] = ()
    """Glob patterns of files and folders to leave out, archives among them; those without `/` at any depth."""
    styles: tuple[StyleRule, ...] = ()
    """The first rule that finds a label gives it. Without any rule the label is the first folder below the location
    (an archive's name without suffix), else the location's own name."""
    synonyms: dict[str, str] = Field(default_factory=dict)
    """Labels by other labels: `bachjohannsebastian = "bach"`. Applied once, after normalisation."""

    @property
    def label_files(self) -> dict[str, str]:
        """The column that each label file gives, `style` or `licence`, by its location."""
        files = {rule.labels: "style" for rule in self.styles if rule.labels is not None}
        return files if self.licences is None else {**files, self.licences: "licence"}

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
    name: str, location: str | os.PathLike[str], licence: str = UNSTATED, style: str | None = None
) -> Collection:
    """Return a collection described by arguments; `style` labels all its files. Raises UserError for invalid ones."""
    rules: tuple[dict[str, str], ...] = () if style is None else ({"label": style},)
    try:
        collection = Collection.model_validate(
            {"name": name, "location": location, "licence": licence, "styles": rules}
        )
    except ValidationError as error:
        raise UserError(f"collection {name!r}: {validation_fault(error)}") from None
    return collection.model_copy(update={"location": local_path(collection.location) or collection.location})


def distinct(collections: Iterable[Collection]) -> list[Collection]:
    """Return the collections as a list. Raises UserError for two of one name."""
    collections = list(collections)
    names: set[str] = set()
    for collection in collections:
        if collection.name in names:
            raise UserError(f"two collections are named {collection.name!r}; give each its own name")
        names.add(collection.name)
    return collections


def validation_fault(error: ValidationError) -> str:
    """Describe the first fault of a collection in one line: its key and the reason."""
    fault = error.errors()[0]
    at = [part for part in fault["loc"] if part != "[key]"]
    if fault["type"] == "extra_forbidden":
        model: type[BaseModel] = StyleRule if "styles" in at[:-1] else Collection
        table = "".join(f"[[collection.{part}]] " for part in at[:-1] if isinstance(part, str))
        return f"{table}{unknown_key(str(at[-1]), model.model_fields)}"
    key = ".".join(str(part + 1) if isinstance(part, int) else part for part in at)
    return f"{key}: {fault['msg'].removeprefix('Value error, ')}"


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Describe a key that does not exist: the nearest one, else all there are."""
    return f"there is no key {key!r}{nearest(key, known) or '; there are: ' + ', '.join(known)}"


def _label(text: str) -> str:
    label = style_label(text)
    if not label:
        raise ValueError(f"the label {text!r} has neither a letter from a to z nor a digit")
    return label


def _groups(pattern: str) -> list[str]:
    """Return the names of a regular expression's groups, in order. Raises ValueError."""
    try:
        groups = pl.Series([""]).str.extract_groups(pattern).dtype
    except pl.exceptions.ComputeError as error:
        reason = str(error).strip().splitlines()[-1].removeprefix("error: ")
        raise ValueError(f"{pattern!r} is no regular expression: {reason}") from None
    assert isinstance(groups, pl.Struct)
    return [field.name for field in groups.fields]
