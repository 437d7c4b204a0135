"""The parameters of an ingestion."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flows.engines import EngineName
from flows.ingestion.dedup import Duplicates, Limits
from flows.ingestion.dedup.splits import SplitShares
from flows.ingestion.gates import Gates, RuleName
from flows.ingestion.licences import LicencePolicy
from flows.ingestion.parsing import ParseLimits
from flows.ingestion.publishing import Augmentation, TokenSettings
from flows.ingestion.sources import Collection, collections_from, policies_from
from flows.parameters import LakeAddress
from infra.errors import UserError
from infra.hardware import available_cores
from infra.settings import apply, one_line


class IngestParameters(BaseModel):
    """The collections to ingest, the dataset to make of them, and all settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    collections: list[Collection] = Field(min_length=1)
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Of the dataset: lower-case letters, digits, `_` and `-`."""
    tokens: TokenSettings = TokenSettings()
    licences: LicencePolicy = LicencePolicy()
    limits: Limits = Limits()
    reading: ParseLimits = ParseLimits()
    duplicates: Duplicates = Duplicates()
    splits: SplitShares = SplitShares()
    augmentation: Augmentation = Augmentation()
    originality: bool = True
    """True for an index of the training pieces, by which samples are searched for copies."""
    gates: Gates = Gates()
    accept: tuple[RuleName, ...] = ()
    """Rules of `gates` that this version may break. Gates and what is accepted do not influence the content."""
    partition_files: int = Field(512, ge=16)
    """Average number of files that are parsed and published together."""
    engine: EngineName = EngineName.LOCAL
    workers: int = Field(default_factory=available_cores, ge=1)
    """Processes of an engine that is started for the run. Engine and workers do not influence the result."""
    cluster: str | None = None
    """Address of a running Ray or Dask cluster."""
    lake: LakeAddress
    """A folder, or the URL of one in an object store."""

    def content_settings(self) -> dict[str, Any]:
        """Return the settings that the content of the dataset depends on, as JSON."""
        chosen = {"licences", "limits", "duplicates", "splits", "augmentation", "originality", "partition_files"}
        plain = self.model_dump(mode="json", include=chosen)
        return {**plain, "tokens": self.tokens.content(), "max_bytes": self.reading.max_bytes}


POLICIES: dict[str, type[BaseModel]] = {"duplicates": Duplicates, "gates": Gates, "licences": LicencePolicy}
"""The settings that a `collections.toml` may hold, by the table."""


def parameters_from(
    sources: Sequence[str | os.PathLike[str]],
    name: str,
    lake: str,
    style: str | None = None,
    licence: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> IngestParameters:
    """Return the parameters for sources, of which each is one of `Collection.location` or a `collections.toml`.

    `changes` are settings by dotted key; they win over those of a `collections.toml`. Raises UserError.
    """
    given: dict[str, Any] = {"collections": collections_from(sources, style, licence), "name": name, "lake": lake}
    for table, (path, content) in policies_from(sources).items():
        try:
            given[table] = POLICIES[table].model_validate(content)
        except ValidationError as error:
            raise UserError(f"{path}: [{table}] {one_line(error, POLICIES[table])}") from None
    return apply(IngestParameters, given, changes or {})
