"""Full attention under a layout's mask: slow, and the reference that the other backends are compared with."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from modeling.network.attention.rearrange import same_document
from modeling.network.sparsity import Layout


def dense_mask_attention(
    layout: Layout, q_bhtd: Tensor, k_bktd: Tensor, v_bktd: Tensor, document_bt: Tensor | None
) -> Tensor:
    """Compute attention under the layout's mask, shape (b, h, t, d)."""
    group_size = q_bhtd.shape[1] // k_bktd.shape[1]
    mask = layout.mask(q_bhtd.shape[2]).to(q_bhtd.device)[None]
    if document_bt is not None:
        mask = mask & same_document(document_bt, document_bt)
    k_bhtd, v_bhtd = (x.repeat_interleave(group_size, 1) for x in (k_bktd, v_bktd))
    return scaled_dot_product_attention(q_bhtd, k_bhtd, v_bhtd, attn_mask=mask)
