"""The starter model as it ships with musenet: an exported version, which any registry imports."""

from __future__ import annotations

from pathlib import Path
from typing import Final

STARTER: Final = "starter"
"""What `musenet models import` and `musenet train --from` call it."""
STARTER_FILE: Final = Path(__file__).with_name("musenet-starter.tar")
"""Made by `musenet starter`; it holds its card and the SHA-256 of all its files."""
