"""Layouts: the earlier positions that each position attends to.

`layer_layouts` builds the layouts of a model's layers from a `SparsityConfig`. A `Layout` has several views of one
definition: the full mask (the reference for backends), the keys of a single position (for generation with a cache), its
blocks (what a backend computes) and, by `density`, its share of dense attention. The keys of a position never depend on
the length of the sequence.
"""

from modeling.network.sparsity.assembly import layer_layouts
from modeling.network.sparsity.blocks import Blocks
from modeling.network.sparsity.layouts import BlockDiagonal, BlockLayout, Column, Dense, Halves, Layout, Local, density

__all__ = [
    "BlockDiagonal",
    "BlockLayout",
    "Blocks",
    "Column",
    "Dense",
    "Halves",
    "Layout",
    "Local",
    "density",
    "layer_layouts",
]
