"""Errors that a user can mend: one line that says what was wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable


class UserError(Exception):
    """Shown as one line, without a traceback; the command exits with status 2."""


class RunError(Exception):
    """A run that failed; shown as one line, and the command exits with status 1."""


def unknown(kind: str, name: str, known: Iterable[str], remedy: str = "") -> UserError:
    """The error for a name that does not exist, listing those that do."""
    listed = ", ".join(known)
    there_are = f"there are: {listed}" if listed else f"there is none yet{'; ' + remedy if remedy else ''}"
    return UserError(f"no {kind} {name!r}; {there_are}")
