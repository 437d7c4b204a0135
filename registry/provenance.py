"""Provenance of a run: who made it, with which version of the code, as MLflow's page shows them."""

from __future__ import annotations

import getpass
import importlib.metadata
import subprocess
from pathlib import Path

from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE, MLFLOW_USER

VERSION_TAG = "musenet.version"
CHANGED_TAG = "musenet.changed"
"""True where the code differed from its commit."""
GIT_SECONDS = 10


def provenance(source: str) -> dict[str, str]:
    """Return the tags of a run: user, version, and the commit where the code lies in a checkout.

    `source`: the command that made it.
    """
    tags = {
        MLFLOW_USER: user_name(),
        MLFLOW_SOURCE_NAME: source,
        MLFLOW_SOURCE_TYPE: "LOCAL",
        VERSION_TAG: importlib.metadata.version("musenet"),
    }
    commit = _git("rev-parse", "HEAD")
    if commit is not None:
        changed = _git("status", "--porcelain", "--untracked-files=no")
        tags |= {MLFLOW_GIT_COMMIT: commit, CHANGED_TAG: str(bool(changed)).lower()}
    return tags


def user_name() -> str:
    """Return the name of the user, `unknown` for one without an entry."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without an entry, as in containers
        return "unknown"


def _git(*words: str) -> str | None:
    """Return what git says of the checkout that this file lies in; None without git, or outside of a checkout."""
    code = Path(__file__).parents[1]
    if not (code / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(code), *words], capture_output=True, text=True, timeout=GIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
