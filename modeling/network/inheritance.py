"""Inheritance: a network begins with the weights of another one, over a vocabulary that has grown or is in another
order.

Tables with a row for each token, row of notes, style or group are taken row by row, by the names in the vocabularies;
all other weights must have equal shapes. Rows that the parent has not keep what was drawn for them.
"""

from __future__ import annotations

from collections.abc import Mapping as Weights
from pathlib import Path

import torch
from torch import Tensor

from modeling.network.transformer import MuseNet
from modeling.network.weights import WeightsError, load_model
from tokenization.vocabulary import NEW, Mapping, Vocabulary

OF_CRITIC = "critic."
"""Begins the names of the weights of a critic's head, which a parent of another size, or without one, does not give."""


def inherit(model: MuseNet, parent: Path, before: Vocabulary, after: Vocabulary) -> None:
    """Replace the weights of a network by those of the model in a folder.

    `before`, `after`: the vocabularies of parent and network. Raises WeightsError for weights that do not fit.
    """
    weights = load_model(parent).state_dict()
    try:
        model.load_state_dict(inherited(model.state_dict(), weights, Mapping.between(before, after)))
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"the weights in {parent} do not fit the model that begins with them: {error}") from error


def inherited(drawn: Weights[str, Tensor], weights: Weights[str, Tensor], mapping: Mapping) -> dict[str, Tensor]:
    """Return the weights of a network by name: those of its parent, and what was drawn where that has none.

    Raises KeyError for a name that the parent has not, RuntimeError for another shape.
    """
    rows = {
        "embeddings.token.own": mapping.tokens,
        "output.weight": mapping.tokens,
        "embeddings.token.row": mapping.notes,
        "melody.gain": mapping.notes,
        "embeddings.style.weight": mapping.styles,
        "embeddings.instrumentation.weight": mapping.groups,
    }
    head = [name for name in drawn if name.startswith(OF_CRITIC)]
    is_alike = all(name in weights and weights[name].shape == drawn[name].shape for name in head)
    found = {}
    for name, own in drawn.items():
        if name in head and not is_alike:
            found[name] = own
        elif name in rows:
            source = torch.from_numpy(rows[name]).to(own.device)
            known = source != NEW
            found[name] = own.clone()
            found[name][known] = weights[name].to(own)[source[known]]
        else:
            found[name] = weights[name]
    return found
