"""Places: what a run reads and writes, as OpenLineage names it, with the facets that describe it.

Everything in a lake has the lake's address as namespace. Files elsewhere follow OpenLineage's naming: `file` for this
machine's, else the bucket.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.lake import Lake
from tokenization.dataset import DatasetVersion
from tokenization.dataset.manifest import SCHEMA


@dataclass(frozen=True)
class Place:
    """A dataset in OpenLineage's sense: anything that a run reads or writes."""

    namespace: str
    name: str
    version: str | None = None
    """Digest or number of the content."""
    columns: tuple[tuple[str, str], ...] = ()
    """Names and types, of a table."""
    rows: int | None = None
    files: int | None = None
    content: dict[str, Any] = field(default_factory=dict)
    """Fields of `DatasetContentFacet`, of a dataset version."""

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}@{self.version}"


def dataset_place(lake: Lake, version: DatasetVersion) -> Place:
    """Describe a dataset version: its digest, and the manifest's schema and rows."""
    about = version.description
    content = {
        "digest": about.digest,
        "parent": about.parent,
        "inputKey": about.input_key,
        "encoding": f"{about.encoding.name} {about.encoding.version}, {about.encoding.time}",
        "vocabularyDigest": about.vocabulary.digest,
        "pieces": about.pieces,
        "tokens": about.tokens,
        "outcomes": about.outcomes,
    }
    columns = tuple((name, str(kind).lower()) for name, kind in SCHEMA.items())
    return Place(
        _namespace(lake), f"datasets/{about.name}", about.digest, columns, about.files, len(about.shards), content
    )


def run_place(lake: Lake, run_id: str) -> Place:
    """Describe the model of a training run; the id is a digest of what determines its weights."""
    return Place(_namespace(lake), f"runs/{run_id}/model", run_id)


def critic_place(lake: Lake, run_id: str, key: str) -> Place:
    """Describe a critic of a run; `key` is a digest of its settings."""
    return Place(_namespace(lake), f"runs/{run_id}/critic", key)


def model_place(lake: Lake, name: str, version: str) -> Place:
    """Describe a version of a registered model."""
    return Place(_namespace(lake), f"models/{name}", version)


def file_place(path: str | Path) -> Place:
    """Describe a file on this machine."""
    return Place("file", str(Path(path).absolute()))


def location_place(location: str) -> Place:
    """Describe the location of a collection: a path, or the URL of an object store."""
    if "://" not in location or location.startswith("file://"):
        return file_place(Path(location.removeprefix("file://")).expanduser())
    parts = urlsplit(location)
    return Place(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", parts.path.strip("/") or "/")


def _namespace(lake: Lake) -> str:
    return lake.remote or lake.root.as_uri()
