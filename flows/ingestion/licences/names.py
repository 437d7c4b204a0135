"""Names of licences: SPDX identifiers and expressions where they exist.

Source: SPDX License List, and "SPDX License Expressions" (SPDX Specification 3.0, annex B), as in the package
license-expression. SPDX has no identifier for works in the public domain; they are named `PD`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from license_expression import LicenseExpression, Licensing

PUBLIC_DOMAIN = "PD"
UNSTATED = "not stated"
"""The licence of files of which none is stated."""
NOT_IN_SPDX = frozenset({PUBLIC_DOMAIN, UNSTATED})
"""Frequent names that the SPDX list is not asked for: to load it costs the start of a command a third of a second."""
SPDX_PAGE = "https://spdx.org/licenses/{}.html"
PAGES = {PUBLIC_DOMAIN: "https://creativecommons.org/publicdomain/mark/1.0/"}
"""Pages of licences without an SPDX identifier."""
REFERENCE = "LicenseRef-"
"""Begins the identifiers of licences that are not in the SPDX list."""

DIFFERENT = 4096
"""Stated licences whose names are remembered; a collection with a licence for each file has few different ones."""

WORDS: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"https? (www )?spdx\.org licenses ", ""),
    (r"https? (www )?creativecommons\.org (licenses|publicdomain) ", "cc "),
    (r"(\.html| deed.*| legalcode.*)$", ""),
    (r"\b(lesser |affero |)general public licen[cs]e\b", lambda found: f"{found[1][:1]}gpl"),
    (r"creative commons", "cc"),
    (r"\battribution\b", "by"),
    (r"\bnon ?commercial\b", "nc"),
    (r"\bshare ?alike\b", "sa"),
    (r"\bno ?deriv(ative)?s?( works)?\b", "nd"),
    (r"^cc ?(0|zero)( 1\.0)?( universal)?( cc0( 1\.0)?)?$", "cc0 1.0"),
    (r"^cc (public domain )?mark( 1\.0)?$", "cc pdm 1.0"),
    (r"\bgnu\b|\bpublic\b(?! domain)|\blicen[cs]es?\b|\bversion\b|\bthe\b", ""),
    (r"\b(international|unported|generic|universal)\b", ""),
    (r"\b([al]?gpl) ?v?(\d)(\.\d)?(?=\s|$)", lambda found: f"{found[1]} {found[2]}{found[3] or '.0'}"),
    (r"\bv(\d)", r"\1"),
)
"""Replacements, in order, that bring a stated licence in small letters to the words of its identifier."""


@lru_cache(DIFFERENT)
def licence_name(stated: str) -> str:
    """Return the SPDX identifier or expression of a stated licence, or `PD`; an unknown one as it was stated.

    `CC-BY 4.0`, `Creative Commons Attribution 4.0 International` and `https://creativecommons.org/licenses/by/4.0/`
    are all `CC-BY-4.0`. A licence without its version (`CC-BY`) has no identifier and is unknown.
    """
    text = " ".join(stated.split())
    if text in NOT_IN_SPDX:
        return text
    known = spdx_expression(text)
    if known is not None:
        return str(known)
    words = re.sub(r"[^\w.+]+|_", " ", text.lower()).strip()
    if words in ("pd", "public domain", "in the public domain"):
        return PUBLIC_DOMAIN
    for pattern, replacement in WORDS:
        words = re.sub(pattern, replacement, words)
    known = spdx_expression("-".join(words.split()))
    return text if known is None else str(known)


def licence_url(name: str) -> str | None:
    """Return the page of a licence by its name; None for an expression of several and for an unknown one."""
    if name in PAGES:
        return PAGES[name]
    return SPDX_PAGE.format(name) if name not in NOT_IN_SPDX and name in identifiers() else None


@cache
def identifiers() -> frozenset[str]:
    """Return all identifiers in the SPDX list."""
    return frozenset(
        key
        for key, symbol in _licensing().known_symbols.items()
        if not (key.startswith(REFERENCE) or symbol.is_exception)
    )


def spdx_expression(text: str) -> LicenseExpression | None:
    """Parse an expression of SPDX identifiers, of which case does not matter; None if it is none."""
    if text in NOT_IN_SPDX:
        return None
    from license_expression import ExpressionError

    try:
        return _licensing().parse(text, validate=True) if text else None
    except ExpressionError:
        return None


@cache
def _licensing() -> Licensing:
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()
