"""The folder of PyTorch's compiled extensions, kept free of stale build locks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.locks import shared


@contextmanager
def compiled_extensions(folder: Path) -> Iterator[None]:
    """Use a folder of compiled extensions for the block, after removing the build locks of killed jobs.

    PyTorch marks an extension that is being built by a file `lock`; other processes wait for it without limit, even
    after its owner was killed. Each job holds a shared lock on the folder, and a job that can take it exclusively
    removes those files.
    """

    def remove_stale_locks() -> None:
        for stale in folder.glob("*/lock"):
            stale.unlink(missing_ok=True)

    with shared(folder / ".jobs", if_alone=remove_stale_locks):
        yield
