"""The one typed place for what all flows share: where things are written and how libraries behave.

Everything that musenet writes lies below one folder, the *lake*. Datasets and the store of pieces may lie in an
object store instead (`s3://bucket/lake`); what databases and servers need stays on this machine. Flow parameters
(batch sizes, limits, thresholds) are pydantic models beside the flow that uses them; this module holds only what
they share.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from upath import UPath

from infra.errors import UserError
from infra.object_store import Folder

LAKE_VARIABLE = "MUSENET_LAKE"
LOCAL_VARIABLE = "MUSENET_LOCAL"
DEFAULT_LAKE = "lake"


@dataclass(frozen=True)
class Lake:
    """The folder tree that holds datasets, runs, generations, the registry and the servers' state."""

    root: Path
    """On this machine."""
    remote: str | None = None
    """URL of the object store that holds datasets and pieces instead of `root`."""

    @classmethod
    def at(cls, address: str | os.PathLike[str] | None = None) -> Lake:
        """The lake at `address`, else at `$MUSENET_LAKE`, else `./lake`. Creates nothing.

        Of a lake in an object store the local part is `$MUSENET_LOCAL`, else `./lake`.
        """
        address = os.fspath(address or os.environ.get(LAKE_VARIABLE) or DEFAULT_LAKE).removeprefix("file://")
        if "://" in address:
            return cls(_local(os.environ.get(LOCAL_VARIABLE) or DEFAULT_LAKE), address.rstrip("/"))
        return cls(_local(address))

    @property
    def address(self) -> str:
        """What `at` takes to find this lake again, in another process too."""
        return self.remote or str(self.root)

    @property
    def datasets(self) -> Folder:
        """`<name>/<digest>/`: published dataset versions."""
        return self._shared("datasets")

    @property
    def pieces(self) -> Folder:
        """`<version>/`: what reading files gave."""
        return self._shared("pieces")

    def _shared(self, name: str) -> Folder:
        if self.remote is None:
            return self.root / name
        try:  # other processes write there, too: no listing may be remembered
            store = UPath(self.remote, use_listings_cache=False)
            store.fs  # noqa: B018 (loads the store's library)
        except (ImportError, ValueError) as error:
            remedy = f"pip install 'musenet[{self.remote.split('://')[0]}]'"
            raise UserError(f"the lake {self.remote} cannot be opened: {error}; try {remedy}") from error
        return store / name

    @property
    def runs(self) -> Path:
        """`<run id>/`: checkpoints, log and metrics of one training run."""
        return self.root / "runs"

    @property
    def archive(self) -> Path:
        """`<run id>/`: generations kept for the critic."""
        return self.root / "archive"

    @property
    def samples(self) -> Path:
        """Where `musenet sample` writes unless told otherwise."""
        return self.root / "samples"

    @property
    def registry_database(self) -> Path:
        return self.root / "registry" / "mlflow.db"

    @property
    def registry_artifacts(self) -> Path:
        return self.root / "registry" / "artifacts"

    @property
    def prefect_home(self) -> Path:
        """Prefect's profile, result storage and SQLite database."""
        return self.root / "prefect"

    @property
    def services(self) -> Path:
        """State files (pid, address) and logs of the local Prefect and MLflow servers."""
        return self.root / "services"

    @property
    def cache(self) -> Path:
        """Things that can be made again: converted starter pieces, compiled extensions."""
        return self.root / "cache"

    def environment(self) -> dict[str, str]:
        """Environment variables that keep every library inside the lake, offline and quiet.

        They must be set before the libraries are imported, and are inherited by child processes.
        """
        return {
            LAKE_VARIABLE: self.address,
            LOCAL_VARIABLE: str(self.root),
            "PREFECT_HOME": str(self.prefect_home),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            # Log lines still reach the run's page; the terminal belongs to the command.
            "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
            "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
            "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
            "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
            "DO_NOT_TRACK": "true",  # Prefect takes 1 or true, MLflow true only
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.registry_database}",
            "MLFLOW_LOGGING_LEVEL": "ERROR",
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            "GIT_PYTHON_REFRESH": "quiet",
            "MPLCONFIGDIR": str(self.cache / "matplotlib"),
        }


def _local(folder: str) -> Path:
    return Path(folder).expanduser().resolve()


def available_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
