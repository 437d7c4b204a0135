"""Names of licences: one SPDX name for every way of stating a licence, and nothing that was not stated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.ingestion.licences import licence_name, licence_url


@pytest.mark.parametrize(
    ("name", "stated"),
    [
        ("CC-BY-4.0", ["CC-BY 4.0", "cc by 4.0", "Creative Commons Attribution 4.0 International"]),
        ("CC-BY-4.0", ["https://creativecommons.org/licenses/by/4.0/", "CC BY 4.0 (International)"]),
        ("CC-BY-2.5", ["Creative Commons Attribution 2.5"]),
        ("CC-BY-NC-SA-3.0", ["Creative Commons Attribution-NonCommercial-ShareAlike 3.0 Unported", "CC BY-NC-SA 3.0"]),
        ("CC-BY-ND-4.0", ["Creative Commons Attribution-NoDerivatives 4.0", "cc-by-nd-4.0"]),
        ("CC0-1.0", ["CC0", "cc0 1.0", "CC0 1.0 Universal", "Creative Commons Zero", "CC Zero"]),
        ("CC0-1.0", ["http://creativecommons.org/publicdomain/zero/1.0/legalcode"]),
        ("CC-PDM-1.0", ["https://creativecommons.org/publicdomain/mark/1.0/", "CC Public Domain Mark 1.0"]),
        ("PD", ["Public Domain", "public domain", "PD", "In the public domain"]),
        ("MIT", ["MIT", "mit", "The MIT License", "https://spdx.org/licenses/MIT.html"]),
        ("Apache-2.0", ["Apache 2.0", "Apache License, Version 2.0", "apache-2.0"]),
        ("BSD-3-Clause", ["BSD-3-Clause", "BSD 3-Clause License"]),
        ("GPL-3.0-only", ["GPL-3.0", "GPLv3", "GNU GPL 3", "GNU General Public License v3.0"]),
        ("GPL-2.0-or-later", ["GPL-2.0+", "GNU GPL v2 or later"]),
        ("LGPL-2.1-only", ["LGPL 2.1", "GNU Lesser General Public License v2.1"]),
        ("MIT OR GPL-2.0-only", ["MIT OR GPL-2.0", "mit or gpl-2.0"]),
    ],
)
def test_a_known_licence_has_its_spdx_name(name: str, stated: list[str]) -> None:
    assert {licence_name(text) for text in stated} == {name}


@pytest.mark.parametrize(
    "stated",
    [
        "not stated",
        "CC-BY",
        "CC-BY-4.0 (one CC0)",
        "Apache-2.0 (repo; hymn texts/tunes mixed PD)",
        "Public Domain (US)",
        "Creative Commons Attribution-ShareAlike 3.0 Germany",
        "freeware",
        "(",
        "AND",
        "",
    ],
)
def test_any_other_stays_as_it_was_stated(stated: str) -> None:
    assert licence_name(stated) == stated
    assert licence_url(stated) is None


@given(st.text(max_size=40))
def test_a_name_is_its_own_name(text: str) -> None:
    name = licence_name(text)
    assert licence_name(name) == name


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("CC0-1.0", "https://spdx.org/licenses/CC0-1.0.html"),
        ("GPL-3.0-or-later", "https://spdx.org/licenses/GPL-3.0-or-later.html"),
        ("PD", "https://creativecommons.org/publicdomain/mark/1.0/"),
        ("MIT OR GPL-2.0-only", None),
        ("Classpath-exception-2.0", None),
        ("LicenseRef-scancode-public-domain", None),
    ],
)
def test_a_licence_has_a_page_by_its_name(name: str, url: str | None) -> None:
    assert licence_url(name) == url
