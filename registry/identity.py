"""The identity of a model: its name, its version, and the digest of its files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from infra.digests import canonical_digest, file_sha256
from modeling.config import MODEL_CONFIG, MODEL_WEIGHTS
from tokenization.dataset.encoding_files import ENCODING_FILE, VOCABULARY_FILE

MODEL_NAME = EXPERIMENT = "musenet"
BUNDLE = "bundle"
"""Name of the files of model and critic in a version."""
FILES = f"artifacts/{BUNDLE}"
"""Their folder in that of a version."""
LINEAGE_FILE = "lineage.json"
"""File of a bundle that names the training run and the dataset version."""

PARENT_FILES = (MODEL_CONFIG, MODEL_WEIGHTS, VOCABULARY_FILE, ENCODING_FILE)
"""Files of a bundle from which another training can go on."""


class ModelIdentity(BaseModel):
    """The model version that composed a piece."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = MODEL_NAME
    version: str | None
    """Number in the registry; None where it is not known, as in a server."""
    digest: str
    """Of the model's files: `folder_digest`."""
    dataset: str
    """`name@digest` of the dataset version that it was trained on."""
    run: str
    """Id of the training run."""

    @classmethod
    def of_files(cls, bundle: Path) -> Self:
        """Return the identity of a bundle outside of the registry. Raises OSError, and ValueError for no lineage."""
        lineage = json.loads((bundle / LINEAGE_FILE).read_text(encoding="utf-8"))
        dataset = f"{lineage['dataset']}@{lineage['digest']}"
        return cls(version=None, digest=folder_digest(bundle), dataset=dataset, run=lineage["run"])


def folder_digest(folder: Path) -> str:
    """Return the SHA-256 over the names and bytes of all files in a folder, in hexadecimal."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        whole.update(bytes.fromhex(file_sha256(path)))
    return whole.hexdigest()


def weights_digest(bundle: Path) -> str:
    """Return a digest of a model's weights and of what gives them meaning: shape, vocabulary and encoding.

    It is the same for a run's model and for a version of it, whatever else that has. Raises OSError.
    """
    return canonical_digest({name: file_sha256(bundle / name) for name in PARENT_FILES})
