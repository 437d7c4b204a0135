"""The plain decoder draws from what its network makes probable."""

from __future__ import annotations

import torch

from baselines.plain_decoder import Cache, PlainDecoder
from baselines.plain_gpt import PlainConfig, PlainGPT


def test_with_a_cache_its_logits_are_those_without() -> None:
    torch.manual_seed(0)
    decoder = PlainDecoder(PlainGPT(PlainConfig(2, 2, 16, 12, 30)), top_p=1e-6)
    ids = decoder.generate(torch.tensor([[3, 1, 2], [5, 5, 5]]), 9)
    cache: Cache = []
    with torch.inference_mode():
        for stop in range(4, 12):
            steps = decoder.logits(ids[:, :stop] if stop == 4 else ids[:, stop - 1 : stop], cache)
            whole = decoder.logits(ids[:, :stop], [])
            torch.testing.assert_close(steps, whole, atol=1e-5, rtol=0)
            assert whole.argmax(-1).tolist() == ids[:, stop].tolist()
