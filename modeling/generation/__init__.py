"""Generation: pieces sampled from a trained network and ranked by the inner critic.

`compose` answers a `Request` with ranked `Candidate`s from a `ModelBundle`. Below it, a `Growth` is a batch of
pieces that grow: `stream` yields their tokens step by step, `complete` and `generate` collect them (`Decoder.prefill`,
`sample`, `Decoder.decode_step`). Logits come from an executor (`executors`, `ExecutorConfig`).
"""

from modeling.generation.bundle import ModelBundle
from modeling.generation.composition import Candidate, Watch, compose, composing, rows_at_most
from modeling.generation.decoder import Decoder
from modeling.generation.executors import Executor, ExecutorConfig, ExecutorError, SharedExecutor, new_executor, share
from modeling.generation.frame import Frame, Infill
from modeling.generation.generate import Growth, Step, complete, generate, stream
from modeling.generation.likelihood import log_likelihoods, mean_log_likelihoods
from modeling.generation.prompt import beginning, prompt_tokens, tokens_before
from modeling.generation.ranking import Merit, NoCriticError, check_rank, merits, resolve_rank
from modeling.generation.request import Request
from modeling.generation.sampling import SamplingConfig, sample
from modeling.generation.seam import seam_losses
from modeling.generation.turns import Turns, at_a_stretch

__all__ = [
    "Candidate",
    "Decoder",
    "Executor",
    "ExecutorConfig",
    "ExecutorError",
    "Frame",
    "Growth",
    "Infill",
    "Merit",
    "ModelBundle",
    "NoCriticError",
    "Request",
    "SamplingConfig",
    "SharedExecutor",
    "Step",
    "Turns",
    "Watch",
    "at_a_stretch",
    "beginning",
    "check_rank",
    "complete",
    "compose",
    "composing",
    "generate",
    "log_likelihoods",
    "mean_log_likelihoods",
    "merits",
    "new_executor",
    "prompt_tokens",
    "resolve_rank",
    "rows_at_most",
    "sample",
    "seam_losses",
    "share",
    "stream",
    "tokens_before",
]
