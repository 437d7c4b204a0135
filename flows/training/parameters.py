"""The parameters of the training flow.

In a module of their own: Prefect loads `flow.py` as a script when it deploys, in which pydantic finds no docstrings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from flows.parameters import LakeAddress
from flows.training.config_file import DEFAULT_PRESET
from flows.training.hostfile import Host, read_hostfile, select_hosts
from modeling.config import preset_names

PresetName = Annotated[str, Field(json_schema_extra={"enum": [*preset_names()]})]
"""A form offers those that exist."""


class TrainParameters(BaseModel):
    """The preset to train, its dataset version, and the hosts of the ranks."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    dataset: str
    """`NAME` for its newest version, or `NAME@DIGEST`."""
    preset: PresetName | None = None
    """None: `tiny`, or with `training.parent` the parent's, in its shape."""
    settings: dict[str, Any] = {}
    """Changes to the preset by dotted key: `{"training.steps": 400}`."""
    ranks: int | None = Field(None, ge=1)
    """Processes of data-parallel training, one per GPU where there are GPUs; None: one per slot of the hostfile, or
    one without a hostfile."""
    hostfile: str | None = None
    """Hosts to train on; None: this machine."""
    retries: int = Field(2, ge=0)
    """Further attempts after a failure that may be temporary, each from the last checkpoint."""
    retry_seconds: float = Field(10.0, ge=0)
    """Pause before the second attempt; before each further one it is twice as long."""
    tags: dict[str, str] = {}
    """Of its run in MLflow, such as those that make it a trial of a sweep."""
    lake: LakeAddress
    """A folder, or the URL of one in an object store."""

    @property
    def title(self) -> str:
        """The name of the flow run: what is trained on what."""
        return f"{self.preset or self.settings.get('training.parent') or DEFAULT_PRESET} on {self.dataset}"

    @property
    def pauses(self) -> list[float]:
        """Seconds before each further attempt."""
        return [self.retry_seconds * 2**attempt for attempt in range(self.retries)]

    def hosts(self) -> tuple[Host, ...]:
        """Return the hosts of the ranks. Raises UserError."""
        if self.hostfile is None:
            return (Host("localhost", self.ranks or 1),)
        return select_hosts(read_hostfile(Path(self.hostfile)), self.ranks)
