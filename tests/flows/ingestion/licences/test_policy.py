"""The policy on licences: versions of a family, expressions, and names that only equal ones allow."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from flows.ingestion.licences import LicencePolicy, allowed


def allows(licence: str, *allow: str) -> bool:
    patterns = LicencePolicy.model_validate({"allow": allow}).allow
    assert patterns is not None
    return allowed([licence], patterns)[licence]


@pytest.mark.parametrize("licence", ["CC-BY-4.0", "CC-BY-2.5", "CC-BY-3.0-US"])
def test_a_star_stands_for_the_versions_of_a_licence(licence: str) -> None:
    assert allows(licence, "CC-BY-*")
    assert allows(licence, "cc-by-*")


@pytest.mark.parametrize("licence", ["CC-BY-NC-4.0", "CC-BY-SA-4.0", "CC0-1.0", "CC-BY-4.0 (one CC0)", "CC-BY"])
def test_and_for_no_other_licence(licence: str) -> None:
    assert not allows(licence, "CC-BY-*")


def test_a_family_of_the_gpl_has_its_only_and_or_later() -> None:
    assert allows("GPL-3.0-only", "GPL-*")
    assert allows("GPL-2.0-or-later", "GPL-*")
    assert not allows("LGPL-2.1-only", "GPL-*")


def test_entries_are_named_as_licences_are() -> None:
    assert LicencePolicy(allow=("Public Domain", "CC0", "CC BY 4.0")).allow == ("PD", "CC0-1.0", "CC-BY-4.0")
    assert allows("PD", "public domain")


def test_an_unknown_licence_is_allowed_by_its_own_words_only() -> None:
    assert allows("not stated", "not stated")
    assert not allows("not stated", "CC0", "GPL-*")
    assert allows("CC-BY-4.0 (one CC0)", "CC-BY-4.0 (one CC0)")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT AND CC-BY-4.0", True),
        ("GPL-3.0-only OR (MIT AND CC-BY-4.0)", True),
        ("GPL-3.0-only AND (MIT OR CC-BY-4.0)", False),
    ],
)
def test_an_expression_needs_one_of_its_alternatives_and_all_that_it_joins(expression: str, expected: bool) -> None:
    assert allows(expression, "MIT", "CC-BY-*") == expected


def test_nothing_is_allowed_by_an_empty_list_and_everything_without_one() -> None:
    assert not allows("CC0-1.0")
    assert LicencePolicy().allow is None


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("CC_BY-*", "no SPDX licence is a version of 'CC_BY-*'; nearest: 'CC-BY-*'"),
        ("CC-BY*", "'CC-BY*' is no pattern of licences; `*` stands for a version at the end, as in CC-BY-*"),
        ("*", "'*' is no pattern of licences"),
        ("*-4.0", "'*-4.0' is no pattern of licences"),
    ],
)
def test_a_pattern_that_can_fit_nothing_is_a_mistake(pattern: str, fault: str) -> None:
    with pytest.raises(ValidationError) as error:
        LicencePolicy(allow=(pattern,))
    assert fault in str(error.value)
