"""The network: a decoder-only transformer with MuseNet's embeddings and sparse attention.

`MuseNet` maps a `Batch` of windows to a loss (training) or to hidden states and logits (generation);
`save_model` and `load_model` store it. Its parts are modules of their own: `block`, `embeddings`, `norms`, `rotary`,
`loss`, `mixup`, and the packages `attention` (backends) and `sparsity` (layouts). `flops` counts its arithmetic.
"""

from modeling.network.batch import Batch
from modeling.network.loss import IGNORED
from modeling.network.transformer import ModelCache, MuseNet
from modeling.network.weights import WeightsError, load_model, save_model, save_weights

__all__ = [
    "IGNORED",
    "Batch",
    "ModelCache",
    "MuseNet",
    "WeightsError",
    "load_model",
    "save_model",
    "save_weights",
]
