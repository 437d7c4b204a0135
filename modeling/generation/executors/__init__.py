"""Executors: ways to compute the logits of next tokens with a key-value cache, behind one interface.

`eager` runs the network's own modules, on any device and in any precision; it is what the others are compared with.
`compiled` makes one compiled call a token on a processor, in 32 bits or with matrices of 8 bits, and gives each row the
same bits whatever the batch it is in, in prefill as in decoding. `shared` makes one such call for the rows of several
batches. `recorded` is `eager` with a CUDA graph for each step.
"""

from modeling.generation.executors.choice import ExecutorConfig, ExecutorError, new_executor, resolved, share
from modeling.generation.executors.executor import DecodingState, Executor, Fields, Floats, Rows
from modeling.generation.executors.shared import SharedExecutor

__all__ = [
    "DecodingState",
    "Executor",
    "ExecutorConfig",
    "ExecutorError",
    "Fields",
    "Floats",
    "Rows",
    "SharedExecutor",
    "new_executor",
    "resolved",
    "share",
]
