"""The data of a run: its training and validation splits, and the loader of global batches."""

from __future__ import annotations

from dataclasses import dataclass

from modeling.config import RunConfig
from modeling.data import Loader, Split, load_split
from tokenization.vocabulary import Vocabulary


@dataclass(frozen=True)
class TrainingData:
    """The splits of a dataset version and the batches drawn from the first of them."""

    train: Split
    validation: Split
    """May be empty."""
    loader: Loader

    @property
    def vocabulary(self) -> Vocabulary:
        return self.train.vocabulary


def load_data(run: RunConfig, pin: bool) -> TrainingData:
    """Read the splits of a run's dataset version. `pin`: batches in page-locked memory. Raises ShardError."""
    training = run.training
    train = load_split(run.dataset, "train", run.cache)
    loader = Loader(
        train,
        run.model.context,
        training.batch_size,
        seed=training.seed,
        style_balance=training.style_balance,
        style_dropout=training.style_dropout,
        instrument_dropout=training.instrument_dropout,
        augmentation=training.augmentation,
        steps=training.steps,
        pack=training.pack,
        texture=run.model.listens,
        pin=pin,
    )
    return TrainingData(train, load_split(run.dataset, "validation", run.cache), loader)
