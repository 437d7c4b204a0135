"""Errors that a user can act on: one line that says what was wrong, where, and what to do.

Every error class of the project that may reach a user derives from `MusenetError`; the command line prints its
message without a traceback and exits with its `exit_status`. Any other exception is a defect and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

NEAREST_CUTOFF = 0.4
"""Least similarity (`difflib` ratio, 0–1) of a name that is offered in place of an unknown one."""
MOST_LISTED = 24
"""Names that a message lists; of more it names the NEAREST_LISTED."""
NEAREST_LISTED = 5


class MusenetError(Exception):
    """Base of all errors that are reported in one line."""

    exit_status = 1
    """Exit status of a command that ends with this error."""


class UserError(MusenetError):
    """Wrong usage: an unknown name, a bad setting, unusable input."""

    exit_status = 2


class RunError(MusenetError):
    """A correct request that failed while it ran."""


def unknown_name(kind: str, name: str, known: Iterable[str], remedy: str = "") -> UserError:
    """Return the error for a name that does not exist, with those that do, or `remedy` where there is none yet."""
    listed = [*known]
    there_are = among(name, listed) if listed else f"there is none yet{'; ' + remedy if remedy else ''}"
    return UserError(f"no {kind} {name!r}; {there_are}")


def among(name: str, known: Iterable[str]) -> str:
    """Return the names that exist in place of an unknown one, `there are: bach, chopin`.

    Of more than MOST_LISTED only the nearest are named: `nearest of 120: chopin, schubert`.
    """
    listed = [*known]
    if len(listed) <= MOST_LISTED:
        return f"there are: {', '.join(listed) or '(none)'}"
    near = get_close_matches(name, listed, n=NEAREST_LISTED, cutoff=0)
    return f"nearest of {len(listed)}: {', '.join(near)}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; nearest: 'NAME'`, to be put behind the message about an unknown name; empty where nothing is near."""
    near = get_close_matches(name, list(known), n=1, cutoff=NEAREST_CUTOFF)
    return f"; nearest: {near[0]!r}" if near else ""


def message_of(error: BaseException) -> str:
    """Return the text of an error in one line; the name of its class where it has no text."""
    return " ".join(str(error).split()) or type(error).__name__
