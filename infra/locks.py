"""Advisory locks on files (`flock`), which the kernel frees when their holder ends, however it ends."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.errors import UserError


@contextmanager
def exclusive(lock: Path, busy: str | None = None) -> Iterator[None]:
    """Hold a lock file alone for the block; its folder is created.

    While another process holds it: wait, or, where `busy` says what that process does, raise UserError.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if busy is None else fcntl.LOCK_NB))
        except BlockingIOError:
            raise UserError(f"{busy}; wait for it, or stop it") from None
        yield


@contextmanager
def shared(lock: Path, if_alone: Callable[[], object] | None = None) -> Iterator[None]:
    """Hold a lock file together with other holders of `shared` for the block; its folder is created.

    `if_alone` is called first, under the exclusive lock, when no other process holds the file.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        if if_alone is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                if_alone()
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def is_held(lock: Path) -> bool:
    """True if a process holds the lock file with `exclusive`."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
