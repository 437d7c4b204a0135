"""Storage: local paths and object stores behind one interface.

Credentials and endpoints come from where each store's own tools look for them (`AWS_*`, `AZURE_STORAGE_*`,
`GOOGLE_APPLICATION_CREDENTIALS` and their configuration files); a collection never holds a secret.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from infra.errors import UserError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "abfss": "az", "adl": "az"}
"""The extra of this package that installs a protocol's library."""
REMOTE_BLOCK = 4 * 2**20
"""Bytes fetched at once from a remote archive that is listed."""


def is_url(location: str) -> bool:
    """True for a URL of any protocol."""
    return "://" in location


def local_path(location: str) -> str | None:
    """Return the absolute local path of a location; None for one in an object store."""
    protocol, separator, path = location.partition("://")
    if separator and protocol not in ("file", "local"):
        return None
    return str(Path(path if separator else location).expanduser().absolute())


def store_of(url: str) -> tuple[AbstractFileSystem, str]:
    """Return the store of a URL and the path in it. Raises UserError if its protocol is unknown or not installed."""
    from fsspec.core import url_to_fs  # 0.1 s, which no worker that reads a disk has to pay

    protocol = url.split("://")[0]
    try:
        store, path = url_to_fs(url)
    except ImportError as error:
        extra = EXTRAS.get(protocol)
        remedy = f"run `pip install 'musenet[{extra}]'`" if extra else one_line(error)
        raise UserError(f"{url}: no library for {protocol}:// is installed; {remedy}") from None
    except Exception as error:  # each store's library has its own errors
        raise UserError(f"{url} cannot be opened: {one_line(error)}") from None
    return store, path


def open_binary(location: str) -> IO[bytes]:
    """Open a file, local or remote, for reading and seeking. Raises the storage's own errors."""
    local = local_path(location)
    if local is not None:
        return Path(local).open("rb")
    store, path = store_of(location)
    return cast(IO[bytes], store.open(path, "rb", block_size=REMOTE_BLOCK))


def last_change(location: str) -> str:
    """Return the time of a file's last change as a key; a unique key if its store records none."""
    local = local_path(location)
    if local is not None:
        return str(Path(local).stat().st_mtime_ns)
    store, path = store_of(location)
    try:
        return str(store.modified(path))
    except (NotImplementedError, AttributeError):
        return uuid.uuid4().hex


def one_line(error: BaseException) -> str:
    """Describe an error of another library in one line."""
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}" if text else type(error).__name__
