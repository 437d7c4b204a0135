"""`dataset.json`: what a dataset version is, what it was made from and what it holds.

The file is written last and makes a version visible. FORMAT numbers its schema: files of an earlier format are
upgraded as they are read, files of a later one refused.

Format 1 renamed `fates` to `outcomes`; the format before it had no number. Format 2 counts the pieces of each licence
and adds `collections` and `gates`.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer, ValidationError

from infra.errors import RunError
from infra.object_store import Folder
from tokenization.dataset.encoding_files import EncodingInfo
from tokenization.dataset.splits import split_of

DESCRIPTION_FILE = "dataset.json"
FORMAT: Final = 2


class DatasetError(RunError):
    """A dataset version that cannot be read."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _to_milliseconds(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")


class VocabularyInfo(_Strict):
    """The vocabulary of a version, which lies beside it in `vocabulary.json`."""

    name: str
    digest: str


class FamilyCounts(_Strict):
    """Families of related pieces, single pieces included."""

    families: int
    members: int
    """Files that belong to any family."""
    largest: int
    """Members of the largest family."""


class CollectionInfo(_Strict):
    """Where the files of a collection were found, so that they can be read again."""

    name: str
    location: str
    """A path on the machine that ingested it, or a URL."""
    include: list[str]
    exclude: list[str]


class GateResult(_Strict):
    """The check of one rule for publishing."""

    rule: str
    """Its name as a setting below `gates`, with the reason behind a dot for a limit on a reason."""
    value: float
    limit: float
    unit: Literal["pieces", "files", "hours", "share"]
    """Of value and limit; a share is a fraction from 0 to 1."""
    outcome: Literal["passed", "accepted", "broken"]
    """`accepted`: broken, and published because a person accepted it."""
    detail: str
    """The finding behind the value; empty where the value says it all."""


class Description(_Strict):
    """The content of `dataset.json`."""

    format: Literal[2] = FORMAT
    name: str
    digest: str
    """Of the content: inputs, encoding, vocabulary and settings."""
    input_key: str
    """Digest of files and settings, known before any file is parsed."""
    parent: str | None
    """Digest of the version that was the newest when this one was published."""
    created: Annotated[AwareDatetime, PlainSerializer(_to_milliseconds, when_used="json")]
    encoding: EncodingInfo
    vocabulary: VocabularyInfo
    settings: dict[str, Any]
    """The ingestion settings that the content depends on."""
    files: int
    """Rows of the manifest."""
    outcomes: dict[str, int]
    """Files by `manifest.OUTCOME`."""
    ignored: dict[str, dict[str, int]]
    """Files without a row in the manifest, by collection and suffix."""
    pieces: dict[str, int]
    """Accepted pieces by split."""
    variants: dict[str, int]
    """Rows of the shards by split: pieces and their augmented copies."""
    tokens: dict[str, int]
    """Tokens of the shards by split."""
    notes: int
    """Of the accepted pieces, drum hits included."""
    hours: float
    """Of the accepted pieces."""
    styles: dict[str, int]
    """Accepted pieces by style label, `(none)` for those without."""
    licences: dict[str, int | None]
    """Accepted pieces by licence; null in versions of format 1, which did not count them."""
    collections: list[CollectionInfo]
    """Empty in versions of format 1. Not part of the digest."""
    gates: list[GateResult]
    """The rules that the version was published under. Not part of the digest."""
    families: FamilyCounts
    repairs: dict[str, int]
    """Files by what had to be repaired to read them."""
    statistics: dict[str, Any]
    """Counts over the accepted pieces, without augmented copies."""
    shards: dict[str, str]
    """SHA-256 of each shard by its path in the version, `train/00000.parquet`."""

    @property
    def reference(self) -> str:
        """The short form by which commands take the version, `songs@0123456789ab`."""
        return f"{self.name}@{self.digest[:12]}"

    def shards_of(self, split: str) -> dict[str, str]:
        """Return SHA-256 by path of the shards of one split, in order."""
        return {path: sha256 for path, sha256 in sorted(self.shards.items()) if split_of(path) == split}

    def to_json(self) -> str:
        """Serialise as `dataset.json`."""
        return self.model_dump_json(indent=1) + "\n"


def parse_description(text: bytes, folder: object) -> Description:
    """Parse the `dataset.json` of a version. Raises DatasetError naming `folder`."""
    remedy = f"delete {folder} and ingest the collections again"
    try:
        content = json.loads(text)
    except ValueError as error:
        raise DatasetError(f"{folder}/{DESCRIPTION_FILE} is damaged ({error}); {remedy}") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{folder}/{DESCRIPTION_FILE} is damaged (not a JSON object); {remedy}")
    found = content.get("format", 0)
    if found not in range(FORMAT + 1):
        wanted = f"this musenet reads formats up to {FORMAT}; install a newer one"
        raise DatasetError(f"{folder}/{DESCRIPTION_FILE} has format {found!r}; {wanted}")
    try:
        return Description.model_validate_json(text if found == FORMAT else json.dumps(_upgraded(content, found)))
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise DatasetError(
            f"{folder}/{DESCRIPTION_FILE} is not of format {found} ({where}: {fault['msg']}); {remedy}"
        ) from error


def _upgraded(content: dict[str, Any], found: int) -> dict[str, Any]:
    """Bring a description of an earlier format (0: without a number) to the present one."""
    if found == 0:
        content = {("outcomes" if key == "fates" else key): value for key, value in content.items()}
    if found < 2:
        licences = content.get("licences")
        counts = dict.fromkeys(licences) if isinstance(licences, list) else licences
        content = {**content, "licences": counts, "collections": [], "gates": [], "format": 2}
    return content


def write_description(folder: Folder, description: Description) -> None:
    """Write `dataset.json`: in an object store, where nothing is renamed, this publishes the version."""
    (folder / DESCRIPTION_FILE).write_text(description.to_json(), encoding="utf-8")
