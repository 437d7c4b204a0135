"""Storage: local paths and object stores, with errors that say what to do.

Credentials and endpoints come from where each store's own tools look (`AWS_*`, `GOOGLE_APPLICATION_CREDENTIALS`,
`AZURE_STORAGE_*` and their configuration files); no secret is ever in a collection.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import IO, cast

from fsspec import AbstractFileSystem
from fsspec.core import split_protocol, url_to_fs

from infra.errors import UserError

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az", "abfss": "az", "adl": "az"}
"""The extra of this package that brings a protocol's library."""
REMOTE_BLOCK = 4 * 2**20
"""Bytes that are fetched at once when a remote archive is searched."""


def is_url(location: str) -> bool:
    return "://" in location


def local_path(location: str) -> str | None:
    """An absolute local path; None for what lies in an object store."""
    protocol, path = split_protocol(location)
    if is_url(location) and protocol not in ("file", "local"):
        return None
    return str(Path(path if is_url(location) else location).expanduser().absolute())


def store_of(url: str) -> tuple[AbstractFileSystem, str]:
    """The store of a URL and the path in it. Raises UserError for a protocol that is unknown or not installed."""
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
    """A file, local or remote, for reading and seeking. Raises the storage's own errors."""
    local = local_path(location)
    if local is not None:
        return Path(local).open("rb")
    store, path = store_of(location)
    return cast(IO[bytes], store.open(path, "rb", block_size=REMOTE_BLOCK))


def last_change(location: str) -> str:
    """When a file was changed, as a key; where its store does not say, a key that never comes again."""
    local = local_path(location)
    if local is not None:
        return str(Path(local).stat().st_mtime_ns)
    store, path = store_of(location)
    try:
        return str(store.modified(path))
    except (NotImplementedError, AttributeError):
        return uuid.uuid4().hex


def one_line(error: BaseException) -> str:
    """An error of another library as one line."""
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}" if text else type(error).__name__
