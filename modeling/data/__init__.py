"""Training data: the pieces of a dataset version as batches of windows.

`load_split` reads a split, through the token cache; a `Loader` makes global batch k of it, deterministically and in any
process; a `Prefetcher` makes batches ahead in threads. `collate` builds a batch of given windows, `epoch_windows` lists
those of an epoch.
"""

from modeling.data.collate import collate
from modeling.data.loader import Loader
from modeling.data.prefetch import Prefetcher
from modeling.data.sampler import EpochSampler, EpochWindows, epoch_windows
from modeling.data.split import Split, load_split

__all__ = [
    "EpochSampler",
    "EpochWindows",
    "Loader",
    "Prefetcher",
    "Split",
    "collate",
    "epoch_windows",
    "load_split",
]
