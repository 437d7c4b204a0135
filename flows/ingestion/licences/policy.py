"""The policy on licences: which ones a dataset may be made of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from flows.ingestion.licences.names import identifiers, licence_name, spdx_expression
from infra.errors import nearest

if TYPE_CHECKING:
    from license_expression import LicenseExpression

ANY_VERSION = "-*"


def _pattern(text: str) -> str:
    if "*" not in text:
        return licence_name(text)
    family = text.removesuffix(ANY_VERSION)
    if family == text or "*" in family or not family:
        raise ValueError(f"{text!r} is no pattern of licences; `*` stands for a version at the end, as in CC-BY-*")
    if not any(re.fullmatch(_regex(text), name) for name in identifiers()):
        families = {re.sub(r"-\d.*", ANY_VERSION, name) for name in identifiers() if re.search(r"-\d", name)}
        raise ValueError(f"no SPDX licence is a version of {text!r}{nearest(text, sorted(families))}")
    return text


LicencePattern = Annotated[str, AfterValidator(_pattern)]
"""An SPDX identifier, `PD`, a licence as it is stated, or `FAMILY-*`: all versions of one. `CC-BY-*` is `CC-BY-3.0`,
`CC-BY-4.0` and so on, and not `CC-BY-NC-4.0`, which is another licence. Names are normalised by `licence_name`."""


class LicencePolicy(BaseModel):
    """The licences that a dataset may be made of; files under any other are quarantined."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    allow: tuple[LicencePattern, ...] | None = None
    """Names or patterns, `["PD", "CC0", "CC-BY-*"]`; none: every licence, unstated ones too."""


def allowed(licences: Iterable[str], patterns: Iterable[str]) -> dict[str, bool]:
    """Return for each licence, by its name, whether one of the patterns allows it.

    Of an expression, `OR` needs one allowed licence and `AND` all. A name that SPDX does not have is allowed only by
    the same name.
    """
    patterns = [*patterns]
    names = {pattern for pattern in patterns if "*" not in pattern}
    versions = re.compile("|".join(map(_regex, (pattern for pattern in patterns if "*" in pattern))) or r"(?!)")

    def is_allowed(name: str) -> bool:
        if name in names:
            return True
        expression = spdx_expression(name)
        return expression is not None and fits(expression)

    def fits(expression: LicenseExpression) -> bool:
        from license_expression import OR

        parts = getattr(expression, "args", ())
        if not parts:
            name = str(expression)
            return name in names or versions.fullmatch(name) is not None
        return (any if isinstance(expression, OR) else all)(map(fits, parts))

    return {licence: is_allowed(licence) for licence in licences}


def _regex(pattern: str) -> str:
    """Return the regular expression of a pattern: a version begins with a digit."""
    return rf"(?i:{re.escape(pattern.removesuffix(ANY_VERSION))}-\d.*)"
