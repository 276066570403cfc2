"""CLIP's image towers as an adaptation needs them: frozen, quick, and with little kept for the backward pass.

`nn.MultiheadAttention` puts the positions first, and the gradient of its projection then goes through one small product
for each of them. A convolution that cuts a picture into patches is a product, too; as a convolution its gradient takes
processors ten times as long. And mixed precision makes a copy of every weight in 16 bits, which autograd keeps. The
numbers are the same but for rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear


def frozen_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`linear` of x [..., I] and weight [O, I]. Of a weight that does not train, what mixed precision makes of it is
    made again for the gradient and not kept."""
    if weight.requires_grad or (bias is not None and bias.requires_grad):
        return linear(x, weight, bias)
    y: Tensor = _FrozenLinear.apply(x, weight, bias)
    return y


class _FrozenLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.dtype = x.dtype
        return linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (g,), (weight,) = gradients, ctx.saved_tensors
        return (g @ weight.to(g.dtype)).to(ctx.dtype), None, None


class FrozenLinear(nn.Linear):
    """`frozen_linear` as a layer."""

    def forward(self, input: Tensor) -> Tensor:
        return frozen_linear(input, self.weight, self.bias)


class PackedAttention(nn.MultiheadAttention):
    """softmax(Q K^T / sqrt(d)) V of each head, projected, for inputs [N, T, E] that are their own keys and values."""

    def forward(  # type: ignore[override]
        self, query: Tensor, key: Tensor, value: Tensor, need_weights: bool = False, attn_mask: Tensor | None = None
    ) -> tuple[Tensor, None]:
        n, t, e = query.shape
        packed = frozen_linear(query.reshape(n * t, e), self.in_proj_weight, self.in_proj_bias)
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
        embedded = frozen_linear(
            patches.permute(0, 2, 4, 1, 3, 5).reshape(n * rows * columns, -1), self.weight.view(o, -1), self.bias
        )
        return embedded.view(n, rows, columns, o).permute(0, 3, 1, 2)


def pack_tower(tower: nn.Module) -> None:
    """Give the tower these layers, in place; its weights stay, and so does what computes something else."""
    embedding = getattr(tower, "conv1", None)
    if type(embedding) is nn.Conv2d and _side_by_side(embedding):
        embedding.__class__ = PatchEmbedding
    for module in tower.modules():
        if type(module) in (nn.Linear, NonDynamicallyQuantizableLinear):
            module.__class__ = FrozenLinear
        attention = getattr(module, "attn", None)
        if isinstance(attention, nn.MultiheadAttention) and _of_itself(module, attention):
            attention.__class__ = PackedAttention


def _of_itself(block: nn.Module, attention: nn.MultiheadAttention) -> bool:
    """Whether keys and values are the queries' own, as in a plain transformer."""
    plain = hasattr(block, "ln_1") and not hasattr(block, "ln_1_kv")
    return plain and attention.batch_first and attention.in_proj_weight is not None and attention.bias_k is None


def _side_by_side(conv: nn.Conv2d) -> bool:
    plain = conv.groups == 1 and conv.dilation == (1, 1) and conv.padding in ((0, 0), "valid")
    return plain and conv.stride == conv.kernel_size
