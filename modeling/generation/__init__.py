"""Generation: pieces sampled from a trained network and ranked by the inner critic.

`compose` answers a `Request` with ranked `Candidate`s from a `ModelBundle`. Below it, `stream` yields the tokens of a
batch of pieces step by step and `generate` collects them: `Decoder.prefill`, `sample`, `Decoder.decode_step`. Logits
come from an executor (`executors`, `ExecutorConfig`).
"""

from modeling.generation.bundle import ModelBundle
from modeling.generation.composition import Candidate, compose
from modeling.generation.decoder import Decoder
from modeling.generation.executors import ExecutorConfig, ExecutorError, new_executor
from modeling.generation.frame import Frame, Infill
from modeling.generation.generate import Step, generate, stream
from modeling.generation.likelihood import log_likelihoods, mean_log_likelihoods
from modeling.generation.prompt import beginning, prompt_tokens, tokens_before
from modeling.generation.ranking import NoCriticError, Rank, check_rank
from modeling.generation.request import Request
from modeling.generation.sampling import SamplingConfig, sample
from modeling.generation.seam import seam_losses

__all__ = [
    "Candidate",
    "Decoder",
    "ExecutorConfig",
    "ExecutorError",
    "Frame",
    "Infill",
    "ModelBundle",
    "NoCriticError",
    "Rank",
    "Request",
    "SamplingConfig",
    "Step",
    "beginning",
    "check_rank",
    "compose",
    "generate",
    "log_likelihoods",
    "mean_log_likelihoods",
    "new_executor",
    "prompt_tokens",
    "sample",
    "seam_losses",
    "stream",
    "tokens_before",
]
