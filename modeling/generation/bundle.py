"""A registered model's files, loaded: network, critic and encoding."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from modeling.criticism import Critic, load_critic
from modeling.criticism.critic import CRITIC_CONFIG
from modeling.generation.executors import Executor, ExecutorConfig, new_executor, resolved
from modeling.network.transformer import MuseNet
from modeling.network.weights import UNREADABLE, WeightsError, load_model
from tokenization.dataset import read_encoding
from tokenization.encodings import Encoding
from tokenization.vocabulary import Vocabulary


@dataclass(frozen=True)
class ModelBundle:
    """A network with its critic, if it has one, and the encoding of its tokens."""

    model: MuseNet
    critic: Critic | None
    """None where the version was registered without."""
    encoding: Encoding
    _executors: dict[ExecutorConfig, Executor] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> ModelBundle:
        """Load a registered version's files. Raises WeightsError."""
        try:
            encoding = read_encoding(folder)
        except UNREADABLE as error:
            raise WeightsError(f"no vocabulary and encoding can be read from {folder}: {error}") from error
        model = load_model(folder, device)
        critic = load_critic(folder, model) if (folder / CRITIC_CONFIG).exists() else None
        return cls(model, critic, encoding)

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the encoding."""
        return self.encoding.vocabulary

    def executor(self, config: ExecutorConfig) -> Executor:
        """Return the executor of a configuration, and of all that resolve to the same, made at its first use.

        Raises ExecutorError.
        """
        choice = resolved(self.model, config)
        if choice not in self._executors:
            self._executors[choice] = new_executor(self.model, choice)
        return self._executors[choice]
