"""Parameters of the backup flow."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from flows.backup.left_out import OnRequest
from flows.parameters import LakeAddress
from infra.errors import UserError

TARGET_VARIABLE = "MUSENET_BACKUPS"


class BackupParameters(BaseModel):
    """Where a lake is backed up to."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    to: Path | None = None
    """A folder, which keeps several backups, or a new file that ends in `.tar`; none: `$MUSENET_BACKUPS`."""
    included: tuple[OnRequest, ...] = ()
    """Folders that are left out unless they are named."""
    keep: int | None = Field(None, ge=1)
    """Newest backups that stay in the folder; none: all."""
    lake: LakeAddress

    def target(self) -> Path:
        """Return where the backup goes. Raises UserError where neither the parameter nor the variable says it."""
        given = self.to or os.environ.get(TARGET_VARIABLE)
        if not given:
            raise UserError(f"no place for the backup: name a folder on another disk, or set {TARGET_VARIABLE}")
        target = Path(given).expanduser()
        if not target.is_absolute():
            raise UserError(f"{target} is another place for each process: name it from / on")
        return target
