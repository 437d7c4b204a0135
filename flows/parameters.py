"""Types that the parameters of several flows share."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import BeforeValidator, Field

from infra.lake import Lake

LakeAddress = Annotated[str, BeforeValidator(os.fspath), Field(default_factory=lambda: Lake.at().address)]
"""A folder, or the URL of one in an object store; by default as `Lake.at` finds it."""
