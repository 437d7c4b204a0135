"""infra/licences.toml: every package that musenet requires, by itself or through others, has a licence it allows."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from license_expression import AND, OR, get_spdx_licensing
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
POLICY: dict[str, Any] = tomllib.loads((ROOT / "infra" / "licences.toml").read_text("utf-8"))
SPDX = get_spdx_licensing()


def packages() -> dict[str, Distribution]:
    """All distributions that musenet requires, with all its extras."""
    found: dict[str, Distribution] = {}
    pending = [*PROJECT["dependencies"], *chain.from_iterable(PROJECT["optional-dependencies"].values())]
    seen = set()
    while pending:
        requirement = Requirement(pending.pop())
        name, extras = canonicalize_name(requirement.name), requirement.extras
        if name == PROJECT["name"] or (name, *sorted(extras)) in seen:
            continue
        seen.add((name, *sorted(extras)))
        with suppress(PackageNotFoundError):  # of an extra that is not installed
            found[name] = distribution(name)
            for each in found[name].requires or ():
                marker = Requirement(each).marker
                if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                    pending.append(each)
    return found


PACKAGES = packages()


def stated_licence(name: str) -> str:
    """The licence of a package in SPDX's words: as the policy says, or as the package does."""
    if name in POLICY["packages"]:
        return str(POLICY["packages"][name])
    metadata = PACKAGES[name].metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    classifiers = [each.rpartition(" :: ")[2] for each in metadata.get_all("Classifier", []) if "License ::" in each]
    names = classifiers or (metadata.get("License") or "").strip().splitlines()[:1]
    known = [POLICY["names"].get(each, each) for each in names if each not in ("OSI Approved", "DFSG approved")]
    return " AND ".join(dict.fromkeys(known))


def is_allowed(expression: str) -> bool:
    """True if the policy allows a licence: of several by OR one of them, by AND all."""

    def check(node: Any) -> bool:
        if isinstance(node, OR):
            return any(map(check, node.args))
        if isinstance(node, AND):
            return all(map(check, node.args))
        return node.render() in POLICY["allowed"]

    return check(SPDX.parse(expression, validate=True, strict=True))


def test_there_are_packages_to_look_at() -> None:
    assert {"torch", "prefect", "mlflow", "pytest"} <= PACKAGES.keys()


def test_every_package_has_a_licence_that_is_allowed() -> None:
    stated = {name: stated_licence(name) for name in PACKAGES}
    assert {name: licence for name, licence in stated.items() if not licence or not is_allowed(licence)} == {}


def test_what_the_policy_says_of_packages_and_names_is_needed() -> None:
    assert POLICY["packages"].keys() <= PACKAGES.keys()
    assert POLICY["allowed"] == sorted(POLICY["allowed"], key=str.lower)


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("GPL-2.0-or-later", False),
        ("GPL-2.0-or-later OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("MPL-2.0 AND (GPL-2.0-only OR MIT)", True),
        ("Apache-2.0 WITH LLVM-exception", True),
    ],
)
def test_a_choice_of_licences_needs_one_that_is_allowed(licence: str, allowed: bool) -> None:
    assert is_allowed(licence) is allowed
