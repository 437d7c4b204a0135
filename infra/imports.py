"""Imports of a package without its optional companions."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import ModuleType


class _Absent(MetaPathFinder):
    """A finder for which some modules are not installed."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Raise ModuleNotFoundError for one of the modules; leave others to the finders that follow."""
        if name in self._names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Let imports in the block do without some modules, unless these are loaded already.

    For packages that use others where they happen to be installed, and have no setting that says not to: loading what
    nobody needs can take most of the time of a command. Other threads must not import these modules meanwhile.
    """
    finder = _Absent(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
