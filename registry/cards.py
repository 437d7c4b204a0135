"""Model cards: the Markdown that MLflow shows as a version's description, and the whole of it among its files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from registry.errors import registry_errors
from registry.identity import MODEL_NAME
from registry.models import RegisteredModel
from registry.store import Registry

CARD_FILE: Final = "card.md"
"""The card as it was written, in the version's folder."""
LONGEST: Final = 5000
"""Characters of a description that MLflow's databases have room for."""
CUT: Final = f"\n\n*The whole card is `{CARD_FILE}` among the version's files.*\n"
SECTION = re.compile(r"^(?=## )", re.MULTILINE)
"""Where a section begins."""


def fitted(card: str) -> str:
    """Return a card as a description: a longer one ends with the last whole line, and says where all of it is."""
    if len(card) <= LONGEST:
        return card
    return card[: LONGEST - len(CUT)].rpartition("\n")[0].rstrip() + CUT


def with_section(card: str, section: str) -> str:
    """Return a card with a section, in the place of an earlier one of its heading or else before all others."""
    heading = section.partition("\n")[0]
    first, *others = SECTION.split(card)
    kept = [each for each in others if each.partition("\n")[0] != heading]
    return "".join([f"{first.rstrip()}\n\n", f"{section.rstrip()}\n\n", *kept])


def card_of(registry: Registry, model: RegisteredModel) -> str:
    """Return a version's description. Raises RegistryError."""
    with registry_errors():
        return str(registry.client.get_model_version(MODEL_NAME, model.version).description or "")


def whole_card(registry: Registry, model: RegisteredModel, folder: Path) -> str:
    """Return a version's description, or the card in its `folder` where that did not fit. Raises RegistryError."""
    card, file = card_of(registry, model), folder / CARD_FILE
    return file.read_text(encoding="utf-8") if card.endswith(CUT) and file.exists() else card


def put_section(registry: Registry, model: RegisteredModel, section: str) -> None:
    """Write a section, with its heading, into a version's description: see `with_section`. Raises RegistryError."""
    card = fitted(with_section(card_of(registry, model), section))
    with registry_errors():
        registry.client.update_model_version(MODEL_NAME, model.version, card)
