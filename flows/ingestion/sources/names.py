"""Names: file names of any origin as text that every format and terminal can hold, and glob patterns over them."""

from __future__ import annotations

import re

import polars as pl

UNPRINTABLE = r"[\p{Cc}\u2028-\u202e\u2066-\u2069]"
"""Control characters, line separators, and marks that turn the writing direction."""
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def as_text(names: pl.Series) -> pl.Series:
    r"""Names (bytes) as printable text: what is not UTF-8 becomes `\xe9`, control characters `\x0a` or `\u2028`."""
    try:
        text = names.cast(pl.String)
    except pl.exceptions.ComputeError:  # somewhere a name of an old archive that is not UTF-8
        text = pl.Series([name.decode(errors="backslashreplace") for name in names], dtype=pl.String)
    odd = text.str.contains(UNPRINTABLE).arg_true()
    return text.scatter(odd, [_UNPRINTABLE.sub(_escaped, name) for name in text.gather(odd)]) if len(odd) else text


def _escaped(character: re.Match[str]) -> str:
    code = ord(character.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def glob_regex(pattern: str, folders: bool = False) -> str:
    """A glob pattern over paths as a regular expression (Rust's syntax).

    Without `/` it is matched against the name at any depth, with `/` against the whole path. `*` and `?` stay
    within a name, `**` does not, `[a-z]` and `[!a-z]` are sets of characters; case does not matter. With `folders`
    a folder's match is one of all below it.
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
