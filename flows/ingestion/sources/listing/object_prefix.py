"""Listing of an object store: one request for a whole prefix."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flows.ingestion.sources.archives import ARCHIVE
from flows.ingestion.sources.storage import is_url, one_line, store_of
from infra.errors import UserError


@dataclass
class Objects:
    """Objects of a store, as columns."""

    container: str
    """URL of the prefix that names are relative to."""
    root_name: str
    """Last part of the key of the prefix or object."""
    is_prefix: bool
    """False if the URL named one object."""
    names: list[bytes] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """Bytes."""
    versions: list[str | None] = field(default_factory=list)
    """The store's hash or generation of the content (an S3 ETag); None where it has none."""


def find_objects(url: str, lake: str | None) -> Objects:
    """Return the objects below a URL, or the one object it names; those of a `lake` below it are left out.

    Raises UserError for a store that cannot be listed and a URL without objects.
    """
    store, root = store_of(url)
    root = root.rstrip("/")
    try:
        store.invalidate_cache()  # it may hold an outdated listing
        archive = store.info(root) if ARCHIVE.search(root) else {}
        is_archive = archive.get("type") == "file"
        found = {root: archive} if is_archive else store.find(root, detail=True)
    except FileNotFoundError:
        found = {}
    except Exception as error:  # each store's library has its own errors
        raise UserError(f"{url} cannot be listed: {one_line(error)}") from None
    if not found:
        raise UserError(f"{url} does not exist or holds nothing; name a prefix, an archive or a MIDI file")
    if list(found) == [root]:
        folder, _, name = url.rpartition("/")
        return Objects(folder, name, False, [name.encode()], [found[root]["size"] or 0], [_version(found[root])])
    lake_key = _lake_key(lake, store.protocol)
    objects = Objects(url, root.rpartition("/")[2], True)
    for key, info in found.items():
        name = key[len(root) :].lstrip("/")
        if name and not name.endswith("/") and not (lake_key and f"{key}/".startswith(lake_key)):
            objects.names.append(name.encode(errors="surrogateescape"))
            objects.sizes.append(info["size"] or 0)
            objects.versions.append(_version(info))
    return objects


def _lake_key(lake: str | None, protocol: str | tuple[str, ...]) -> str | None:
    """Return the key of the lake's root in a store, with a final slash; None if it lies elsewhere."""
    protocols = (protocol,) if isinstance(protocol, str) else protocol
    if lake is None or lake.split("://")[0] not in protocols or not is_url(lake):
        return None
    return store_of(lake)[1].rstrip("/") + "/"


def _version(info: dict[str, Any]) -> str | None:
    version = info.get("ETag") or info.get("etag") or info.get("md5Hash")
    return str(version).strip('"') if version else None
