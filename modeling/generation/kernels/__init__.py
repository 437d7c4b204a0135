"""Compiled arithmetic of generation on a processor: the network's pass over some tokens, and the draw of the next ones.

`pack_network` copies a model's weights into the form that `forward` reads; `draw` picks ids from logits. Axes and
layouts of memory are given where the arrays are defined. Below them: `tiles` (products in vector registers), `matrix`,
`exponential`, `attention` and `patterns` (the keys that a layout keeps).
"""
