"""The source files that a module's machine code may come from: itself, and the platform's modules that it imports."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

PACKAGES = ("tokenization", "modeling", "registry", "flows")
"""The packages whose modules are followed. `infra` holds nothing that is compiled; other distributions change with
their versions only."""
_IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+import\s+(\([^)]*\)|[^\n(]*)|import\s+([\w.]+))", re.MULTILINE)


@cache
def sources_of(path: Path) -> tuple[Path, ...]:
    """Return the module in a file and all that it imports, directly or through others, in one order always."""
    found, pending = {path}, [path]
    while pending:
        new = set(_imported_by(pending.pop())) - found
        found |= new
        pending += new
    return tuple(sorted(found))


@cache
def _imported_by(path: Path) -> tuple[Path, ...]:
    """Return the files of the modules of PACKAGES that a module's import statements may mean."""
    names = []
    for source, imported, plain in _IMPORT.findall(path.read_text()):
        names += [plain] if plain else [source, *(f"{source}.{word}" for word in re.findall(r"\w+", imported))]
    files = (_file_of(name) for name in names if name.split(".")[0] in PACKAGES)
    return tuple(file for file in files if file)


@cache
def _file_of(module: str) -> Path | None:
    place = Path(__file__).parents[2].joinpath(*module.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


def source_digest(path: Path) -> str:
    """Return a digest of the module in a file and of all that it imports, in hexadecimal."""
    return hashlib.sha256(b"".join(map(_digest_of, sources_of(path)))).hexdigest()


@cache
def _digest_of(path: Path) -> bytes:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).digest()
