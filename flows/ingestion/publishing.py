"""Publishing: immutable, content-addressed dataset versions.

    datasets/<name>/<digest>/{manifest.parquet, vocabulary.json, dataset.json, train/, validation/, test/}

The digest covers every input's hash and fate, the encoding and its version, the vocabulary and the settings:
equal inputs give equal digests on any machine and with any number of workers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.errors import UserError, unknown
from flows.files import STAGING_PREFIX, publish_folder, remove_abandoned, staging_folder
from flows.ingestion.manifest import Entry, Status, fates, write_manifest
from flows.ingestion.parsing import Music
from flows.ingestion.splits import SPLITS
from flows.settings import Lake
from tokenization.encodings import Encoding, get_encoding
from tokenization.encodings.combined import HEADER
from tokenization.shards import Row, Stamp, write_shard
from tokenization.vocabulary import Tokens, Vocabulary

SHARD_ROWS = 4096
DIGEST_LENGTH = 32
"""Hexadecimal digits; MLflow keeps at most 36 characters of a dataset's digest."""


@dataclass(frozen=True)
class DatasetVersion:
    """A published version."""

    name: str
    digest: str
    folder: Path
    description: dict[str, Any]
    """The content of `dataset.json`."""

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary.from_json((self.folder / "vocabulary.json").read_text(encoding="utf-8"))

    @property
    def encoding(self) -> Encoding:
        return get_encoding(self.description["encoding"]["name"], self.vocabulary)

    def __str__(self) -> str:
        return f"{self.name}@{self.digest[:12]}"


def canonical_digest(content: object) -> str:
    """A digest of anything that JSON can say, independent of key order and machine."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def dataset_digest(entries: Sequence[Entry], encoding: Encoding, settings: dict[str, Any]) -> str:
    """The version's digest. Where files lie does not enter; what they are and became does."""
    return canonical_digest(
        {
            "encoding": [encoding.name, encoding.version],
            "vocabulary": encoding.vocabulary.digest,
            "settings": settings,
            "files": sorted(
                [e.collection, e.path, e.sha256, e.licence, e.style, e.status, e.reason, e.family, e.split]
                for e in entries
            ),
        }
    )


def publish(
    lake: Lake,
    name: str,
    entries: Sequence[Entry],
    music: dict[str, Music],
    encoding: Encoding,
    settings: dict[str, Any],
    input_key: str,
) -> DatasetVersion:
    """Write and publish a version; one with the same digest that exists already is returned as it is.

    `music`: by SHA-256 of the accepted pieces. `input_key`: see `find_by_input`.
    """
    digest = dataset_digest(entries, encoding, settings)
    home = lake.datasets / name
    remove_abandoned(home)
    if not (home / digest).exists():
        with staging_folder(home) as staged:
            shards = _write_shards(staged, entries, music, encoding)
            write_manifest(staged / "manifest.parquet", entries)
            (staged / "vocabulary.json").write_text(encoding.vocabulary.to_json(), encoding="utf-8")
            description = _describe(name, digest, entries, music, encoding, settings, shards, input_key)
            (staged / "dataset.json").write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
            with contextlib.suppress(FileExistsError):  # another process has just published the same
                publish_folder(staged, home / digest)
    return read_version(home / digest)


def _write_shards(
    folder: Path, entries: Sequence[Entry], music: dict[str, Music], encoding: Encoding
) -> dict[str, str]:
    """Shards of every split; their hashes by their path in the version."""
    stamp = Stamp(encoding.name, encoding.vocabulary.digest)
    shards = {}
    for split in SPLITS:
        (folder / split).mkdir()
        chosen = [e for e in entries if e.status is Status.ACCEPTED and e.split == split]
        chosen.sort(key=lambda e: e.sha256 or "")
        for number, first in enumerate(range(0, len(chosen), SHARD_ROWS)):
            rows = [_row(entry, music, encoding.vocabulary) for entry in chosen[first : first + SHARD_ROWS]]
            path = f"{split}/{number:05d}.parquet"
            shards[path] = write_shard(folder / path, rows, stamp)
    return shards


def _row(entry: Entry, music: dict[str, Music], vocabulary: Vocabulary) -> Row:
    assert entry.sha256 is not None and entry.family is not None
    piece = music[entry.sha256]
    groups = "_".join(vocabulary.groups_of_mask(piece.mask))
    return Row(entry.sha256, entry.family, entry.style, groups, piece.tokens)


def _describe(
    name: str,
    digest: str,
    entries: Sequence[Entry],
    music: dict[str, Music],
    encoding: Encoding,
    settings: dict[str, Any],
    shards: dict[str, str],
    input_key: str,
) -> dict[str, Any]:
    accepted = [entry for entry in entries if entry.status is Status.ACCEPTED]
    by_style: dict[str, int] = {}
    for entry in accepted:
        by_style[entry.style or "(none)"] = by_style.get(entry.style or "(none)", 0) + 1
    tokens = {
        split: sum(len(music[e.sha256].tokens) for e in accepted if e.split == split and e.sha256) for split in SPLITS
    }
    return {
        "name": name,
        "digest": digest,
        "input_key": input_key,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "encoding": {"name": encoding.name, "version": encoding.version},
        "vocabulary": {"name": encoding.vocabulary.name, "digest": encoding.vocabulary.digest},
        "settings": settings,
        "files": len(entries),
        "fates": fates(entries),
        "pieces": {split: sum(entry.split == split for entry in accepted) for split in SPLITS},
        "tokens": tokens,
        "notes": sum(entry.notes or 0 for entry in accepted),
        "hours": round(sum(entry.seconds or 0 for entry in accepted) / 3600, 3),
        "styles": dict(sorted(by_style.items())),
        "licences": sorted({entry.licence for entry in accepted}),
        "shards": shards,
    }


def relabelled(tokens: Tokens, old: Vocabulary, new: Vocabulary) -> Tokens:
    """Tokens of one vocabulary as ids of another that has every name in them."""
    if old.names == new.names:
        return tokens
    ids = {name: token for token, name in enumerate(new.names)}
    header = [ids[old.names[token]] for token in tokens[:HEADER].tolist()]
    out = tokens.copy()
    out[:HEADER] = header
    return out


def read_version(folder: Path) -> DatasetVersion:
    """The version published in a folder."""
    description = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    return DatasetVersion(description["name"], description["digest"], folder, description)


def dataset_versions(lake: Lake, name: str | None = None) -> list[DatasetVersion]:
    """Published versions, oldest first: of one dataset or of all."""
    folders = [file.parent for file in sorted(lake.datasets.glob("*/*/dataset.json"))]
    versions = [
        read_version(folder)
        for folder in folders
        if name in (None, folder.parent.name) and not folder.name.startswith(STAGING_PREFIX)
    ]
    return sorted(versions, key=lambda version: (version.description["created"], version.digest))


def find_version(lake: Lake, reference: str) -> DatasetVersion:
    """The version of `NAME` (its newest) or `NAME@DIGEST` (a prefix is enough). Raises UserError."""
    name, _, digest = reference.partition("@")
    versions = dataset_versions(lake, name) if name else []
    if not versions:
        known = dict.fromkeys(version.name for version in dataset_versions(lake))
        raise unknown("dataset", name, known, "make one with `musenet ingest PATH --name NAME`")
    chosen = [version for version in versions if version.digest.startswith(digest)]
    if not chosen:
        raise unknown(f"version of dataset {name}", digest, [version.digest[:12] for version in versions])
    if digest and len(chosen) > 1:
        raise UserError(f"{reference!r} fits {len(chosen)} versions; give more digits of the digest")
    return chosen[-1]


def find_by_input(lake: Lake, name: str, input_key: str) -> DatasetVersion | None:
    """The version of a dataset made from exactly these files and settings, found without parsing."""
    for version in reversed(dataset_versions(lake, name)):
        if version.description["input_key"] == input_key:
            return version
    return None
