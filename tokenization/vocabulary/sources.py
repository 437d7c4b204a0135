"""Sources of vocabularies: the built-in TOML files, by name, and files of the user or of a dataset, by path."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from tokenization.vocabulary.file import VocabularyError


def builtin_vocabularies() -> list[str]:
    """Return the names of the vocabularies that come with the package."""
    return sorted(entry.name.removesuffix(".toml") for entry in _builtin().iterdir() if entry.name.endswith(".toml"))


def find_source(source: str | Path) -> Path | Traversable:
    """Return the file of a built-in name or of a path to a .toml or .json file. Raises VocabularyError for others."""
    if isinstance(source, str) and source in builtin_vocabularies():
        return _builtin() / f"{source}.toml"
    if not str(source).endswith((".toml", ".json")):
        known = ", ".join(builtin_vocabularies())
        raise VocabularyError(f"no vocabulary {str(source)!r}; there are: {known}, or name a .toml or .json file")
    return Path(source).expanduser()


def read_source(path: Path | Traversable, source: str) -> str:
    """Return the text of a file. Raises VocabularyError if it is not UTF-8, OSError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise VocabularyError(f"{source} is not UTF-8 text: {error}") from error


def _builtin() -> Traversable:
    return resources.files("tokenization.vocabulary") / "builtin"
