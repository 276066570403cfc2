"""CLIP's image towers with few and large matrix products. The numbers are the same but for rounding.

`nn.MultiheadAttention` puts the positions first, and the gradient of its projection then goes through one small product
for each of them. A convolution that cuts a picture into patches is a product, too; as a convolution its gradient takes
processors ten times as long. A step of an adaptation spent much of its time on both.
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


class PatchEmbedding(nn.Conv2d):
    """A convolution whose windows lie side by side: patches [N, C, h, w] to vectors [N, O, H / h, W / w]."""

    def forward(self, input: Tensor) -> Tensor:
        n, c, height, width = input.shape
        (high, wide), o = self.kernel_size, self.out_channels
        rows, columns = height // high, width // wide
        patches = input[:, :, : rows * high, : columns * wide].reshape(n, c, rows, high, columns, wide)
        embedded = linear(
            patches.permute(0, 2, 4, 1, 3, 5).reshape(n * rows * columns, -1), self.weight.view(o, -1), self.bias
        )
        return embedded.view(n, rows, columns, o).permute(0, 3, 1, 2)


def pack_tower(tower: nn.Module) -> None:
    """Give the tower this attention and this embedding, in place; its weights stay, and so does what computes something
    else."""
    embedding = getattr(tower, "conv1", None)
    if isinstance(embedding, nn.Conv2d) and _side_by_side(embedding):
        embedding.__class__ = PatchEmbedding
    for block in tower.modules():
        attention = getattr(block, "attn", None)
        if not isinstance(attention, nn.MultiheadAttention) or not hasattr(block, "ln_1") or hasattr(block, "ln_1_kv"):
            continue  # what has keys of another origin computes something else
        if attention.batch_first and attention.in_proj_weight is not None and attention.bias_k is None:
            attention.__class__ = PackedAttention


def _side_by_side(conv: nn.Conv2d) -> bool:
    plain = conv.groups == 1 and conv.dilation == (1, 1) and conv.padding in ((0, 0), "valid")
    return plain and conv.stride == conv.kernel_size
