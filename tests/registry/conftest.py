"""What the tests of `registry` share: a real MLflow store on SQLite and a real, very small model with its critic."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from modeling.config import ModelConfig, SparsityConfig
from modeling.criticism import CriticConfig, CriticHead, save_critic
from modeling.network.transformer import MuseNet
from modeling.network.weights import save_model
from registry.lineage import DatasetReference
from registry.store import Registry
from tokenization.dataset import write_encoding
from tokenization.encodings.combined import Combined
from tokenization.vocabulary import Vocabulary


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A store of its own for all tests of this folder."""
    home = tmp_path_factory.mktemp("mlflow")
    return Registry.open(home / "mlflow.db", home / "artifacts")


@pytest.fixture(scope="session")
def dataset() -> DatasetReference:
    return DatasetReference("starter", "0123456789abcdef" * 2, "/lake/datasets/starter", {"pieces": {"train": 80}})


def write_bundle(folder: Path, seed: int = 0) -> Path:
    """What `ModelBundle.load` reads, with random weights."""
    vocabulary = Vocabulary.load("musenet", styles=["bach", "jazz"])
    sparsity = SparsityConfig(mode="dense")
    config = ModelConfig(layers=1, heads=2, d_model=16, context=64, vocabulary_size=vocabulary.size, sparsity=sparsity)
    torch.manual_seed(seed)
    save_model(MuseNet(config), folder)
    critic = CriticConfig(window=32, hidden=8)
    save_critic(CriticHead(16, 8), critic, folder)
    write_encoding(folder, Combined(vocabulary))
    return folder


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("other-bundle"), seed=1)
