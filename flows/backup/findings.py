"""What is wrong with the lake that was backed up: files that are not those that were published, or that are gone.

Dataset versions and model versions carry the SHA-256 of their files. Those of the copies are known, too, so that this
costs no reading. Of models only those count that the copy of MLflow's database names: others may be in the making.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from flows.backup.contents import StoredFile

DESCRIPTIONS, SHARDS = "datasets/*/*/dataset.json", "shards"
"""Files that hold the digests of those beside them, and the key of these."""
ARTIFACTS, MANIFEST, FILES = "registry/artifacts", "manifest.json", "files"
"""Folder of model versions; the same in each of theirs."""


def find_faults(root: Path, files: Mapping[str, StoredFile], registry: Path | None) -> Iterator[str]:
    """Yield what is wrong with a lake of these files; `registry`: the copy of MLflow's database, if there is one."""
    for path in sorted(files):
        if fnmatchcase(path, DESCRIPTIONS):
            yield from _changed(root, path, SHARDS, files)
    if registry is None:
        return
    from registry.version_folders import version_folders  # a second, which a lake without models need not wait

    try:
        folders = version_folders(registry)
    except sqlite3.Error as error:
        yield f"the model versions in registry/mlflow.db cannot be read: {error}"
        return
    for version, folder in folders.items():
        manifest = f"{ARTIFACTS}/{folder}/{MANIFEST}"
        if manifest in files:
            yield from _changed(root, manifest, FILES, files)
        elif not any(path.startswith(f"{ARTIFACTS}/{folder}/") for path in files):
            yield f"model version {version} has no files in {ARTIFACTS}/{folder}"


def _changed(root: Path, path: str, key: str, files: Mapping[str, StoredFile]) -> Iterator[str]:
    """Yield the files that are not those whose digests a file holds under a key."""
    try:
        published = dict(json.loads((root / path).read_bytes())[key])
    except (OSError, ValueError, KeyError, TypeError):
        yield f"{path} cannot be read"
        return
    folder = path.rpartition("/")[0]
    for name, sha256 in published.items():
        file = files.get(f"{folder}/{name}")
        if file is None:
            yield f"{folder}/{name} is missing"
        elif file.sha256 != sha256:
            yield f"{folder}/{name} is not the file that was published"
