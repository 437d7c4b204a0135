"""What of a lake is not in its backups, and in which order the rest is copied."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

OnRequest = Literal["cache", "served", "prepared"]
"""Folders that are left out of a backup unless they are asked for."""


@dataclass(frozen=True)
class LeftOut:
    """Files of a lake that a backup leaves out. What no pattern names is in it."""

    pattern: str
    """Path in the lake; `*` stands for any letters, slashes too. Of a folder, all that is in it."""
    why: str


LEFT_OUT = (
    LeftOut("cache", "made again where it is needed"),
    LeftOut("served", "composed again by whoever asks the server again"),
    LeftOut("prepared", "composed again by `musenet studio --prepare`"),
    LeftOut("services", "the password, addresses and logs of this machine's servers, which others make anew"),
    LeftOut("locks", "held by processes of this machine"),
    LeftOut("prefect", "profiles, which may hold keys, and what pages are made from; the database is copied by SQLite"),
    LeftOut("registry/mlflow.db*", "copied by SQLite, since it is written to meanwhile"),
    LeftOut("sweeps/*.db*", "copied by SQLite, as before"),
    LeftOut("*/.staging-*", "files in the making"),
    LeftOut(".staging-*", "folders in the making"),
    LeftOut("runs/*/.step*", "checkpoints that are being written or removed"),
    LeftOut("runs/*/.deepspeed_env", "variables for the hosts of a job that runs"),
    LeftOut("runs/*/hostfile", "of a job that runs"),
    LeftOut("runs/*/.stop", "of a job that is stopping"),
    LeftOut("registry/*/__pycache__", "written by Python beside a version's modules; not part of it"),
)
DATABASES = ("prefect/prefect.db", "registry/mlflow.db", "sweeps/*.db")
"""SQLite databases, each copied as it is at one moment."""
FIRST = ("runs", "archive", "evaluations", "samples")
LAST = ("registry", "datasets", "pieces")
"""Folders in the order of copying, with all others between. Databases come before any file, and what refers to another
thing before that thing: a model version or a run that a database names, and a dataset version that a run names, was
there before the name was, and the guard of `flows.retention` lets nothing be removed until all is copied. So all that
is named in a backup is in it. What has come meanwhile may be in it without its name, which harms nothing: a dataset
version is found by its folder, and a run is registered again. The other way round, a version that is registered
while its folder has already been passed would be named and lost."""


def patterns(included: Collection[OnRequest] = ()) -> dict[str, str]:
    """Return what is left out of a backup with some of the folders that may be asked for: patterns with the reasons."""
    return {each.pattern: each.why for each in LEFT_OUT if each.pattern not in included}


def is_left_out(path: str, left_out: Collection[str]) -> bool:
    """True for the path of a file or folder in the lake that a pattern names."""
    return any(fnmatchcase(path, pattern) for pattern in left_out)


def place_in_order(name: str) -> tuple[int, str]:
    """Return the sort key of a file or folder of the lake's root."""
    if name in FIRST:
        return FIRST.index(name) - len(FIRST), name
    return LAST.index(name) + 1 if name in LAST else 0, name
