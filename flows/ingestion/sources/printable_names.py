"""Printable names: file names of any origin as text that every format and terminal can hold."""

from __future__ import annotations

import os
import re

import polars as pl

UNPRINTABLE = r"[\p{Cc}\u2028-\u202e\u2066-\u2069]"
"""Control characters, line separators, and marks that turn the writing direction."""
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def printable(names: pl.Series) -> pl.Series:
    r"""Decode names to text; bytes that are not UTF-8 become `\xe9`, unprintable characters `\x0a` or `\u2028`."""
    try:
        text = names.cast(pl.String)
    except pl.exceptions.ComputeError:  # some name, of an old archive, is not UTF-8
        text = pl.Series([name.decode(errors="backslashreplace") for name in names], dtype=pl.String)
    odd = text.str.contains(UNPRINTABLE).arg_true()
    return text.scatter(odd, [_UNPRINTABLE.sub(_escaped, name) for name in text.gather(odd)]) if len(odd) else text


def printable_name(name: str) -> str:
    """Return one name, as the file system gave it, as printable text."""
    return str(printable(pl.Series([os.fsencode(name)], dtype=pl.Binary))[0])


def _escaped(character: re.Match[str]) -> str:
    code = ord(character.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
