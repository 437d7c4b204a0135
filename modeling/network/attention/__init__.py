"""Attention under a layout: `attention` by a backend, `cached_attention` of one query in generation.

Backends: `fold` computes only what the layout keeps, with stock operations on any device; `flex` compiles a kernel for
it (CUDA); `dense_mask` masks full attention and is the reference. All are exact, forward and backward, do not cross
documents, and accept fewer heads of keys and values than of queries (grouped-query attention).

Tensors are named by their axes: b batch, h head, k head of keys and values, t time, d head size, n block.
"""

from modeling.network.attention.dispatch import BackendError, Place, attention, cached_attention

__all__ = ["BackendError", "Place", "attention", "cached_attention"]
