"""Self-attention of CLIP's image towers with one matrix product for all queries, keys and values.

`nn.MultiheadAttention` puts the positions first, and the gradient of its projection then goes through one small product
for each of them; a step of an adaptation spends much of its time there. The numbers are the same but for rounding.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention


class PackedAttention(nn.MultiheadAttention):
    """softmax(Q K^T / sqrt(d)) V of each head, projected, for inputs [N, T, E] that are their own keys and values."""

    def forward(  # type: ignore[override]
        self, query: Tensor, key: Tensor, value: Tensor, need_weights: bool = False, attn_mask: Tensor | None = None
    ) -> tuple[Tensor, None]:
        n, t, e = query.shape
        packed = linear(query.reshape(n * t, e), self.in_proj_weight, self.in_proj_bias)
        heads = packed.view(n, t, 3, self.num_heads, e // self.num_heads).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(heads[0], heads[1], heads[2], attn_mask=attn_mask)
        return self.out_proj(mixed.transpose(1, 2).reshape(n * t, e)).view(n, t, e), None


def pack_attention(tower: nn.Module) -> None:
    """Give the tower's transformer blocks this attention, in place; their weights stay. Others are left as they are."""
    for block in tower.modules():
        attention = getattr(block, "attn", None)
        if not isinstance(attention, nn.MultiheadAttention) or not hasattr(block, "ln_1") or hasattr(block, "ln_1_kv"):
            continue  # what has keys of another origin computes something else
        if attention.batch_first and attention.in_proj_weight is not None and attention.bias_k is None:
            attention.__class__ = PackedAttention
