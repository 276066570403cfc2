"""A tower of few products gives what the ordinary one gives."""

from __future__ import annotations

import copy

import pytest
import torch
from latent_loom.backend.adaptation.tower import PackedAttention, PatchEmbedding, pack_tower
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
    pack_tower(packed)
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
    pack_tower(nn.ModuleList([block, cross]))
    assert list(block.state_dict()) == names and type(cross.attn) is nn.MultiheadAttention


@pytest.mark.parametrize("size", [(12, 20), (13, 21)])
@pytest.mark.parametrize("bias", [False, True])
def test_patches_are_embedded_as_the_convolution_does_it(size, bias):
    tower = nn.Module()
    tower.conv1 = nn.Conv2d(3, 7, kernel_size=4, stride=4, bias=bias).double()
    packed = copy.deepcopy(tower)
    pack_tower(packed)
    assert type(packed.conv1) is PatchEmbedding
    seen = []
    for each in (tower, packed):
        x = torch.linspace(-1, 2, 2 * 3 * size[0] * size[1], dtype=torch.double).sin().view(2, 3, *size)
        y = each.conv1(x.requires_grad_())
        y.square().sum().backward()
        seen.append((y.detach(), x.grad, each.conv1.weight.grad))
    for one, other in zip(*seen, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("options", [{"stride": 2}, {"padding": 1}, {"dilation": 2}, {"groups": 3}])
def test_a_convolution_of_other_windows_stays_one(options):
    tower = nn.Module()
    tower.conv1 = nn.Conv2d(3, 6, **{"kernel_size": 3, "stride": 3} | options)
    pack_tower(tower)
    assert type(tower.conv1) is nn.Conv2d


class Tower(nn.Module):
    """A small vision transformer, frozen."""

    def __init__(self, block: ResidualAttentionBlock) -> None:
        super().__init__()
        self.conv1, self.block = nn.Conv2d(3, 24, kernel_size=4, stride=4, bias=False), block
        self.float().requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block(self.conv1(x).flatten(2).transpose(1, 2))


def test_mixed_precision_keeps_no_copy_of_a_frozen_weight_and_its_gradients_are_the_usual_ones(block):
    tower = Tower(block)
    packed = copy.deepcopy(tower)
    pack_tower(packed)
    weights = {p.numel() for p in tower.parameters() if p.ndim > 1}  # no activation has as many numbers
    kept: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    found = []
    for each in (tower, packed):
        kept.clear()
        x = torch.linspace(-1, 2, 3 * 3 * 12 * 12).sin().view(3, 3, 12, 12).requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                y = each(x)
            copies = [t for t in kept if t.dtype == torch.bfloat16 and t.numel() in weights]
            assert bool(copies) == (each is tower)
            y.float().square().sum().backward()
        found.append(x.grad)
    torch.testing.assert_close(*found, rtol=0.05, atol=0.05 * found[0].abs().max().item())


def test_a_weight_that_trains_gets_its_gradient(block):
    tower = Tower(block)
    pack_tower(tower)
    tower.requires_grad_(True)
    tower(torch.ones(1, 3, 8, 8)).square().sum().backward()
    assert all(p.grad is not None for p in tower.parameters())
