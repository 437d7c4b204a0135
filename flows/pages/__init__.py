"""What the project's HTML pages share: one style sheet, `page.css`, and the way templates are read.

A page is one file that loads nothing: no network, no script, no other file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template


def page_template(package: str, name: str, **filters: Callable[..., Any]) -> Template:
    """Return a template that lies in a package; it may include `page.css`. Text is escaped, unknown names raise."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "."), PackageLoader("flows.pages", ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    return environment.get_template(name)
