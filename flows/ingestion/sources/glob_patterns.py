"""Glob patterns over paths."""

from __future__ import annotations

import re


def glob_regex(pattern: str, folders: bool = False) -> str:
    """Translate a glob pattern over paths to a regular expression (Rust's syntax).

    Without `/` it is matched against the name at any depth, with `/` against the whole path. `*` and `?` stay within a
    name, `**` does not, `[a-z]` and `[!a-z]` are sets of characters; case is ignored. With `folders` a match of a
    folder matches everything below it. Raises ValueError for an empty pattern.
    """
    body = pattern.strip("/")
    if not body:
        raise ValueError("an empty pattern")
    start = "^" if "/" in pattern.rstrip("/") else "(?:^|/)"
    return f"(?i){start}{_translated(body)}" + ("(?:/|$)" if folders else "$")


_PIECES = re.compile(
    r"(?P<folders>(?:^|(?<=/))\*\*/)|(?P<any>\*\*)|(?P<some>\*)|(?P<one>\?)|(?P<set>\[!?\]?[^]]+\])|.", re.DOTALL
)


def _translated(pattern: str) -> str:
    return "".join(_piece(found) for found in _PIECES.finditer(pattern))


def _piece(found: re.Match[str]) -> str:
    text = found.group()
    match found.lastgroup:
        case "folders":
            return "(?:.*/)?"
        case "any":
            return ".*"
        case "some":
            return "[^/]*"
        case "one":
            return "[^/]"
        case "set":
            inner = text[1:-1].replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
            inner = inner.replace("&&", "&\\&").replace("~~", "~\\~").replace("--", "-\\-")
            return f"[^/{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
        case _:
            return re.escape(text)
