"""A plain decoder of a GPT-2 in stock PyTorch: the baseline of generation.

As most libraries do it: keys and values in tensors that grow by concatenation, one operation after the other, the
nucleus by sorting the vocabulary, `torch.multinomial`. It uses nothing of musenet.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from baselines.plain_gpt import Block, PlainGPT, SelfAttention

Cache = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer, shape (batch, heads, time, d_head)."""


class PlainDecoder:
    """Ids after a prompt, of shape (batch, time), drawn one by one."""

    def __init__(self, model: PlainGPT, top_p: float) -> None:
        self.model, self.top_p = model.eval(), top_p

    @torch.inference_mode()
    def generate(self, prompt: Tensor, count: int) -> Tensor:
        """The prompt and `count` more ids, shape (batch, time + count)."""
        cache: Cache = []
        ids, latest = prompt, prompt
        for _ in range(count):
            latest = self._draw(self.logits(latest, cache))
            ids = torch.cat([ids, latest], dim=1)
        return ids

    def logits(self, ids: Tensor, cache: Cache) -> Tensor:
        """Logits after ids that follow those in the cache, shape (batch, vocabulary); they are added to it."""
        model = self.model
        first = cache[0][0].shape[2] if cache else 0
        x = model.token(ids) + model.position(torch.arange(first, first + ids.shape[1]))
        before, cached = cache[:], bool(cache)
        cache.clear()
        for index, block in enumerate(model.blocks):
            assert isinstance(block, Block)
            norm, attention = block.attention
            assert isinstance(attention, SelfAttention)
            b, t, c = x.shape
            q, k, v = (
                y.view(b, t, attention.heads, -1).transpose(1, 2) for y in attention.qkv(norm(x)).split(c, dim=2)
            )
            if cached:
                k, v = torch.cat([before[index][0], k], dim=2), torch.cat([before[index][1], v], dim=2)
            cache.append((k, v))
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=not cached)
            x = x + attention.output(mixed.transpose(1, 2).reshape(b, t, c))
            x = x + block.feed_forward(x)
        logits: Tensor = model.head(model.norm(x[:, -1]))
        return logits

    def _draw(self, logits: Tensor) -> Tensor:
        probability, order = logits.softmax(-1).sort(descending=True)
        probability = probability.masked_fill(probability.cumsum(-1) - probability >= self.top_p, 0.0)
        return order.gather(-1, torch.multinomial(probability, 1))
