"""What a run was trained on, its parent's training pieces included, and those of that one's parent."""

from __future__ import annotations

from pathlib import Path

from flows.training.runs import Run
from tokenization.dataset import TRAIN, DatasetVersion
from tokenization.identities import IDENTITIES_FILE, Identities


def identities_of(run: Run, dataset: DatasetVersion) -> Identities:
    """Return the identities of all pieces that a run's model was trained on; they are kept in the run's folder.

    `dataset`: the run's, on this machine's disk. Raises ShardError, and IdentitiesError for a damaged file.
    """
    file = run.folder.identities
    if file.exists():
        return Identities.read(file)
    found = Identities.of(dataset, TRAIN)
    if run.config.parent is not None:
        found = found.with_those_of(read_identities(run.folder.parent))
    found.write(file)
    return found


def read_identities(bundle: Path) -> Identities:
    """Return the identities that a model's files carry; unknown ones for files without. Raises IdentitiesError."""
    file = bundle / IDENTITIES_FILE
    return Identities.read(file) if file.exists() else Identities.unknown()
