"""Attention with one matrix product is the attention that it stands for."""

from __future__ import annotations

import copy

import pytest
import torch
from latent_loom.backend.adaptation.attention import PackedAttention, pack_attention
from open_clip.transformer import ResidualAttentionBlock
from torch import nn


@pytest.fixture
def block() -> ResidualAttentionBlock:
    torch.manual_seed(0)
    block = ResidualAttentionBlock(24, 3).double()
    nn.init.normal_(block.attn.in_proj_bias)  # 0 in a fresh one, which would hide a mistake
    return block


@pytest.mark.parametrize("masked", [False, True])
def test_packed_attention_gives_the_values_and_gradients_of_the_ordinary_one(block, masked):
    packed = copy.deepcopy(block)
    pack_attention(packed)
    assert type(packed.attn) is PackedAttention and type(block.attn) is nn.MultiheadAttention
    mask = torch.full((5, 5), -torch.inf, dtype=torch.double).triu(1) if masked else None
    seen = []
    for each in (block, packed):
        x = torch.linspace(-1, 2, 2 * 5 * 24, dtype=torch.double).sin().view(2, 5, 24).requires_grad_()
        y = each(x, attn_mask=mask)
        y.square().sum().backward()
        seen.append((y.detach(), x.grad))
    for one, other in zip(*seen, strict=True):
        torch.testing.assert_close(one, other)


def test_packing_leaves_the_names_of_the_weights_and_blocks_with_keys_of_another_origin(block):
    names = list(block.state_dict())
    cross = ResidualAttentionBlock(24, 3, is_cross_attention=True)
    pack_attention(nn.ModuleList([block, cross]))
    assert list(block.state_dict()) == names and type(cross.attn) is nn.MultiheadAttention
