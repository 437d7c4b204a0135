"""Types of parameters that several flows share."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import BeforeValidator, Field

from infra.lake import Lake

LakeAddress = Annotated[str, BeforeValidator(os.fspath), Field(default_factory=lambda: Lake.at().address)]
"""Address of a lake: a folder or an object store's URL; the default is that of `Lake.at()`."""
