"""The files of a model version on this machine, each read at its first use."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from infra.errors import RunError, UserError, message_of
from modeling.config import DRAWING_FILE, DrawingConfig
from registry.identity import ModelIdentity
from tokenization.dataset import read_encoding
from tokenization.dataset.pace import Pace
from tokenization.encodings import Encoding

if TYPE_CHECKING:
    from modeling.criticism import Estimate
    from modeling.generation import ModelBundle

CRITIC_FILE = "critic.json"
"""File of a bundle that has a critic: that of `modeling.criticism`, which loads PyTorch."""


class VersionFiles:
    """The bundle of a version: what it knows, how it is drawn from, and its network."""

    def __init__(self, files: Path, identity: ModelIdentity, device: str = "cpu") -> None:
        """Use the bundle in the folder `files`; nothing is read yet. `device`: where the network will run."""
        self.files = files
        self.identity = identity
        self.device = device

    @property
    def styles(self) -> tuple[str, ...]:
        """Styles that a request may name."""
        return self.encoding.vocabulary.styles

    @property
    def instruments(self) -> tuple[str, ...]:
        """Groups and instruments that a request may name."""
        vocabulary = self.encoding.vocabulary
        names = (*reversed(vocabulary.groups), *(instrument.name for instrument in vocabulary.instruments))
        return tuple(dict.fromkeys(names))

    @cached_property
    def encoding(self) -> Encoding:
        """The encoding of the model's tokens. Raises RunError."""
        try:
            return read_encoding(self.files)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"no vocabulary and encoding can be read from {self.files}: {error}") from error

    @cached_property
    def pace(self) -> Pace:
        """Tokens a second by style. Raises UserError for a version that was registered without."""
        try:
            return Pace.read(self.files)
        except (OSError, ValueError) as error:
            raise UserError(
                f"version {self.identity.version} of the model does not say how many tokens a second takes: "
                "register its run again with `musenet register`, or give a length in tokens"
            ) from error

    @cached_property
    def drawing(self) -> DrawingConfig:
        """How the model is drawn from where a request says nothing. Raises RunError."""
        file = self.files / DRAWING_FILE
        try:
            return DrawingConfig.model_validate_json(file.read_bytes()) if file.exists() else DrawingConfig()
        except (OSError, ValidationError) as error:
            raise RunError(f"{file} cannot be read: {message_of(error)}") from error

    @property
    def has_critic(self) -> bool:
        """True if its pieces can be ranked by a critic."""
        return (self.files / CRITIC_FILE).exists()

    @cached_property
    def critic_auc(self) -> Estimate | None:
        """How well its critic tells real music from its own; None without one, or one not measured. Raises
        WeightsError."""
        from modeling.criticism import read_auc

        return read_auc(self.files) if self.has_critic else None

    @cached_property
    def bundle(self) -> ModelBundle:
        """Network and critic, loaded at the first use. Raises WeightsError."""
        from modeling.generation import ModelBundle

        return ModelBundle.load(self.files, self.device)
