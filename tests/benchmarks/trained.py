"""A trained run of a lake, with its held-out pieces: for benchmarks of what a model has learned."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

from flows.training.runs import Run, find_run
from infra.lake import Lake
from modeling.data import Split, load_split
from modeling.network.transformer import MuseNet
from modeling.network.weights import load_model
from tokenization.dataset import find_version


class Trained(NamedTuple):
    """A run, the validation split of its dataset, and its network."""

    run: Run
    split: Split
    model: MuseNet


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the options that say which run is measured, on how many pieces, and where the result goes."""
    arguments.add_argument("--lake", type=Path, required=True)
    arguments.add_argument("--run", default="latest")
    arguments.add_argument("--pieces", type=int, default=64)
    arguments.add_argument("--json", type=Path)


def load_trained(options: argparse.Namespace) -> Trained:
    """Load the run that the options name. Raises UserError."""
    lake = Lake(options.lake)
    run = find_run(lake, options.run)
    split = load_split(find_version(lake, run.dataset).path, "validation")
    return Trained(run, split, load_model(run.folder.model).eval())
