"""Layouts: which earlier positions each position attends to.

A layout is one definition seen from several sides: the full mask (the oracle that backends are tested against), the
keys of a single position (generation with a cache), its blocks (what a backend computes) and its share of dense
attention. What a position sees never depends on how long the sequence is.
"""

from modeling.network.sparsity.assembly import layer_layouts
from modeling.network.sparsity.blocks import Blocks
from modeling.network.sparsity.layouts import BlockLayout, Column, Dense, Halves, Layout, Local, Window, density

__all__ = [
    "BlockLayout",
    "Blocks",
    "Column",
    "Dense",
    "Halves",
    "Layout",
    "Local",
    "Window",
    "density",
    "layer_layouts",
]
