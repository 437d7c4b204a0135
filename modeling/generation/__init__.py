"""Generation: pieces sampled from a trained network and ranked by the inner critic.

`compose` answers a `Request` with ranked `Candidate`s from a `ModelBundle`; `generate` is the loop below it, from
prompts to tokens: `Decoder.prefill`, `Decoder.decode_step`, `sample`.
"""

from modeling.generation.bundle import ModelBundle
from modeling.generation.composition import Candidate, compose
from modeling.generation.decoder import Decoder
from modeling.generation.generate import generate
from modeling.generation.prompt import Prompt, prompt_tokens
from modeling.generation.request import Request
from modeling.generation.sampling import SamplingConfig, sample

__all__ = [
    "Candidate",
    "Decoder",
    "ModelBundle",
    "Prompt",
    "Request",
    "SamplingConfig",
    "compose",
    "generate",
    "prompt_tokens",
    "sample",
]
