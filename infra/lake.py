"""The lake: the folder tree that everything is written below, and the one typed place of its paths.

Datasets and the store of parsed pieces may lie in an object store instead (`s3://bucket/lake`); what databases and
servers need stays on this machine.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from infra.errors import UserError
from infra.object_store import Folder

LAKE_VARIABLE = "MUSENET_LAKE"
LOCAL_VARIABLE = "MUSENET_LOCAL"
DEFAULT_LAKE = "lake"


@dataclass(frozen=True)
class Lake:
    """The folders of datasets, runs, generations, the registry and the servers' state."""

    root: Path
    """The part on this machine."""
    remote: str | None = None
    """URL of the object store that holds datasets and pieces instead of `root`."""

    @classmethod
    def at(cls, address: str | os.PathLike[str] | None = None) -> Lake:
        """Return the lake at `address`, else at `$MUSENET_LAKE`, else `./lake`. Creates nothing. Raises UserError.

        The local part of a lake in an object store is `$MUSENET_LOCAL`, else `./lake`.
        """
        address = os.fspath(address or os.environ.get(LAKE_VARIABLE) or DEFAULT_LAKE).removeprefix("file://")
        if "://" in address:
            return cls(_local(os.environ.get(LOCAL_VARIABLE) or DEFAULT_LAKE), address.rstrip("/"))
        return cls(_local(address))

    @property
    def address(self) -> str:
        """Address from which `at` finds this lake again, in another process too."""
        return self.remote or str(self.root)

    @property
    def datasets(self) -> Folder:
        """`<name>/<digest>/`: published dataset versions."""
        return self._shared("datasets")

    @property
    def pieces(self) -> Folder:
        """`<version>/`: results of parsing, by file."""
        return self._shared("pieces")

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
        """Default output folder of `musenet sample`."""
        return self.root / "samples"

    @property
    def served(self) -> Path:
        """`<digest>.json`: answers of `musenet serve`, to be had again by their link."""
        return self.root / "served"

    @property
    def prepared(self) -> Path:
        """`<bundle digest>/`: samples of models that `musenet studio --prepare` composed."""
        return self.root / "prepared"

    @property
    def evaluations(self) -> Path:
        """`<digest>/`: default output folders of `musenet evaluate`."""
        return self.root / "evaluations"

    @property
    def sweeps(self) -> Path:
        """`<name>.db`: Optuna's trials of a sweep."""
        return self.root / "sweeps"

    @property
    def registry_database(self) -> Path:
        """MLflow's SQLite database."""
        return self.root / "registry" / "mlflow.db"

    @property
    def registry_artifacts(self) -> Path:
        """Files of MLflow's runs and model versions."""
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
    def locks(self) -> Path:
        """Lock files of datasets that are being published."""
        return self.root / "locks"

    @property
    def cache(self) -> Path:
        """Files that can be made again: converted starter pieces, decoded tokens, compiled extensions."""
        return self.root / "cache"

    @property
    def facts(self) -> Path:
        """`<version>/`: what the parts of `pieces` say of files, without their notes."""
        return self.cache / "facts"

    def tested_pairs(self, name: str) -> Path:
        """The pairs of pieces that deduplication of a dataset has compared, for its next version."""
        return self.cache / "links" / f"{name}.pairs"

    def _shared(self, name: str) -> Folder:
        if self.remote is None:
            return self.root / name
        from upath import UPath  # 0.15 s, which no lake on a disk has to pay

        try:
            store = UPath(self.remote, use_listings_cache=False)  # other processes write there, too
            store.fs  # noqa: B018 (loads the store's library)
        except (ImportError, ValueError) as error:
            remedy = f"pip install 'musenet[{self.remote.split('://')[0]}]'"
            raise UserError(f"the lake {self.remote} cannot be opened: {error}; try {remedy}") from error
        return store / name


def _local(folder: str) -> Path:
    """Return the path of a folder that is there or may be made. Raises UserError for a path below or of a file."""
    path = Path(folder).expanduser().resolve()
    for part in (path, *path.parents):
        if part.is_dir():
            break
        if part.exists():
            raise UserError(f"the lake {path} cannot be a folder: {part} is a file; name another one")
    return path
