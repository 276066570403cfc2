"""Checkpoints of rosinality/stylegan2-pytorch (`.pt`): converted, from its training, and StyleGAN-NADA's; and export.

A `torch.save` of {g_ema, latent_avg?, g, d, g_optim, args, ...}. Its names and shapes differ from NVlabs', the
arithmetic hardly: kernels are scaled by 1/sqrt(fan-in) before demodulation, which changes only what its epsilon is
compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..config import GeneratorConfig
from ..errors import CannotExport, ForeignCheckpoint, UnsupportedArchitecture
from ..networks import Generator, LayerInfo
from ..ops.resample import normalise_taps
from .assemble import PendingTensor, assemble_foreign, make_config
from .atomic import replacing
from .nvlabs import filter_taps
from .stored_tensors import plain_state

EXPORT_SIZES = (4, 1024)
CLAMP_PICTURES = 4


def layer_name(layer: LayerInfo) -> str:
    """What rosinality calls a layer: conv1, to_rgb1, convs.N, to_rgbs.N."""
    step = layer.resolution.bit_length() - 4  # 0 at 8 px
    if layer.kind == "torgb":
        return "to_rgb1" if step < 0 else f"to_rgbs.{step}"
    return "conv1" if step < 0 else f"convs.{2 * step + int(layer.name.endswith('conv1'))}"


def build_rosinality(value: Any, source: str) -> Generator:
    """The generator `g_ema` of what a `.pt` holds.

    Raises  UnsupportedArchitecture, CorruptTensors, ForeignCheckpoint
    """
    top = plain_state(value)
    state = plain_state(top.get("g_ema", top.get("g", top)))
    tensors = {
        name.removeprefix("module."): tensor
        for name, tensor in state.items()
        if isinstance(name, str) and isinstance(tensor, PendingTensor)
    }
    if "input.input" not in tensors or "conv1.conv.weight" not in tensors:
        raise ForeignCheckpoint(
            f"{source} is a PyTorch file without a StyleGAN2 generator (g_ema); give a .pt of rosinality's or NADA's."
        )
    config = make_config(source, **_settings(tensors, source))
    with torch.device("meta"):
        layers = Generator(config).layers()
    named = _rename(tensors, layers, config.mapping_layers, config.constant_noise)
    average = top.get("latent_avg")
    if isinstance(average, PendingTensor):  # [w_dim] or [1, w_dim]
        one_row = average.shape == (1, config.w_dim)
        named["mapping.w_avg"] = average.reshape(config.w_dim) if one_row else average
    return assemble_foreign(config, named, source=source)


def _settings(tensors: Mapping[str, PendingTensor], source: str) -> dict[str, Any]:
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    depth = sum(1 for name in shapes if name.startswith("style.") and name.endswith(".weight"))
    blocks = 1 + sum(1 for name in shapes if name.startswith("to_rgbs.") and name.endswith(".conv.weight"))
    convs = ["conv1"] + [f"convs.{2 * i + 1}" for i in range(blocks - 1)]
    needed = ["style.1.weight", f"style.{depth}.weight", "to_rgb1.conv.weight", *(f"{c}.conv.weight" for c in convs)]
    if any(name not in shapes for name in needed):
        raise UnsupportedArchitecture(f"{source} has other layers than a StyleGAN2 generator; give a StyleGAN2 model.")
    if any(len(shapes[name]) != (2 if name.startswith("style.") else 5) for name in needed):
        raise UnsupportedArchitecture(f"{source} has layers of other shapes than StyleGAN2's; give a StyleGAN2 model.")
    filters = [t for name, t in tensors.items() if name.endswith((".blur.kernel", ".upsample.kernel"))]
    return {
        "z_dim": shapes["style.1.weight"][1],
        "w_dim": shapes[f"style.{depth}.weight"][0],
        "mapping_layers": depth,
        "mapping_width": shapes["style.1.weight"][0],
        "resolution": 4 << (blocks - 1),
        "channels": tuple(shapes[f"{c}.conv.weight"][1] for c in convs),
        "image_channels": shapes["to_rgb1.conv.weight"][1],
        "fir": filter_taps(filters, source),
        "constant_noise": "noises.noise_0" in shapes,
        "eps_per_tap": True,
    }


def _rename(
    tensors: Mapping[str, PendingTensor], layers: tuple[LayerInfo, ...], depth: int, constant_noise: bool
) -> dict[str, PendingTensor]:
    """Our names for rosinality's tensors; what it has beside them keeps its name, to be refused with it."""
    rest = {n: t for n, t in tensors.items() if not n.endswith(("blur.kernel", "upsample.kernel"))}
    named: dict[str, PendingTensor] = {}

    def take(theirs: str, ours: str, *shape: int) -> None:
        """Missing tensors are left out: `assemble` names them. Other sizes are left as they are, likewise."""
        tensor = rest.pop(theirs, None)
        if tensor is not None:
            fits = len(tensor.shape) > 0 and _count(tensor.shape) == _count(shape)
            named[ours] = tensor.reshape(*shape) if fits else tensor

    for i in range(depth):
        for part in ("weight", "bias"):
            theirs = f"style.{i + 1}.{part}"
            if theirs in rest:
                take(theirs, f"mapping.fc{i}.{part}", *rest[theirs].shape)
    if "input.input" in rest:
        take("input.input", "synthesis.b4.const", *rest["input.input"].shape[1:])
    convs = 0
    for layer in layers:
        theirs, ours = layer_name(layer), f"synthesis.{layer.name}"
        take(f"{theirs}.conv.weight", f"{ours}.weight", layer.c_out, layer.c_in, layer.kernel, layer.kernel)
        for part in ("weight", "bias"):
            modulation = f"{theirs}.conv.modulation.{part}"
            if modulation in rest:
                take(modulation, f"{ours}.affine.{part}", *rest[modulation].shape)
        if layer.kind == "torgb":
            take(f"{theirs}.bias", f"{ours}.bias", layer.c_out)
            continue
        take(f"{theirs}.activate.bias", f"{ours}.bias", layer.c_out)
        take(f"{theirs}.noise.weight", f"{ours}.noise_strength")
        if constant_noise:
            take(f"noises.noise_{convs}", f"{ours}.noise_const", layer.resolution, layer.resolution)
        convs += 1
    return named | rest


def _count(shape: tuple[int, ...]) -> int:
    return torch.Size(shape).numel()


def export_rosinality(generator: Generator, path: Path | str) -> list[str]:
    """Write {g_ema, latent_avg} that loads strictly into rosinality's Generator(resolution, w_dim, mapping_layers, m).

    Returns what that format cannot carry, in sentences. Noise maps that the generator does not
    carry are drawn from seeds of their own.
    Raises  CannotExport if that code has no such generator; OSError
    """
    reasons = _obstacles(generator)
    if not reasons and not _clamp_is_idle(generator):
        reasons = ["its activations reach the clamp that they were trained with"]
    if reasons:
        raise CannotExport(
            f"rosinality's format has no place for this generator ({'; '.join(reasons)}): export it as safetensors."
        )
    config, state = generator.config, {n: t.detach().cpu() for n, t in generator.state_dict().items()}
    taps = torch.tensor(normalise_taps(config.fir))
    kernel = 4 * taps[:, None] * taps
    out: dict[str, Tensor] = {}
    for i in range(config.mapping_layers):
        for part in ("weight", "bias"):
            out[f"style.{i + 1}.{part}"] = state[f"mapping.fc{i}.{part}"]
    out["input.input"] = state["synthesis.b4.const"][None]
    convs = 0
    for layer in generator.layers():
        theirs, ours = layer_name(layer), f"synthesis.{layer.name}"
        out[f"{theirs}.conv.weight"] = state[f"{ours}.weight"][None]
        out[f"{theirs}.conv.modulation.weight"] = state[f"{ours}.affine.weight"]
        out[f"{theirs}.conv.modulation.bias"] = state[f"{ours}.affine.bias"]
        if layer.kind == "torgb":
            out[f"{theirs}.bias"] = state[f"{ours}.bias"].reshape(1, -1, 1, 1)
            if layer.resolution > 4:
                out[f"{theirs}.upsample.kernel"] = kernel
            continue
        out[f"{theirs}.activate.bias"] = state[f"{ours}.bias"]
        out[f"{theirs}.noise.weight"] = state[f"{ours}.noise_strength"].reshape(1)
        if layer.name.endswith("conv0"):
            out[f"{theirs}.conv.blur.kernel"] = kernel
        noise = state.get(f"{ours}.noise_const")
        if noise is None:
            draw = torch.Generator().manual_seed(convs)
            noise = torch.randn(layer.resolution, layer.resolution, generator=draw)
        out[f"noises.noise_{convs}"] = noise[None, None]
        convs += 1
    tensors = {name: tensor.clone().contiguous() for name, tensor in out.items()}
    with replacing(Path(path)) as file:
        torch.save({"g_ema": tensors, "latent_avg": state["mapping.w_avg"].clone()}, file)
    return _losses(config)


def _losses(config: GeneratorConfig) -> list[str]:
    found = []
    if config.tile != "none":
        found.append(
            "Tileable padding cannot travel in rosinality's format: there the pictures are not seamless, and along "
            "their edges they differ; safetensors keeps it."
        )
    if config.conv_clamp is not None:
        found.append(
            f"Its activations are clamped at {config.conv_clamp:g}, which rosinality's format cannot say; "
            f"{CLAMP_PICTURES} pictures were the same without."
        )
    return found


def _clamp_is_idle(generator: Generator) -> bool:
    """Whether pictures of seeded latents are the same without the clamp: it guards half precision, and seldom acts."""
    if generator.config.conv_clamp is None:
        return True
    with torch.device("meta"):
        free = Generator(replace(generator.config, conv_clamp=None))
    free.load_state_dict(generator.state_dict(), assign=True)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _ in range(CLAMP_PICTURES):
            ws = generator.map(
                torch.randn(1, generator.config.z_dim, generator=draw).to(generator.mapping.w_avg.device)
            )
            clamped, unclamped = generator.synthesize(ws), free.synthesize(ws)
            if (clamped - unclamped).abs().max() > 1e-4 * unclamped.abs().max():
                return False
    return True


def _obstacles(generator: Generator) -> list[str]:
    """Why rosinality's Generator cannot have these shapes, in words; [] if it can."""
    c = generator.config
    found = []
    if c.c_dim:
        found.append("it has classes")
    if not c.z_dim == c.w_dim == (c.mapping_width or c.w_dim):
        found.append("z, w and the mapping layers differ in width")
    if c.mapping_lr_multiplier != 0.01:
        found.append("its mapping learns at another rate than .01")
    if c.image_channels != 3 or c.const_size != 4:
        found.append("its constant or its colours have other sizes")
    if c.input_map:
        found.append("it takes a random input map")
    if c.lattice:
        found.append("it has a lattice")
    if not EXPORT_SIZES[0] < c.resolution <= EXPORT_SIZES[1] or not _has_their_channels(c.channels):
        found.append("its channel counts are not those of that code")
    return found


def _has_their_channels(channels: tuple[int, ...]) -> bool:
    """512 up to 32 px, then 256 m, 128 m, ... with one multiplier m."""
    if any(c != 512 for c in channels[:4]):
        return False
    multipliers = {c / (256 >> i) for i, c in enumerate(channels[4:])}
    return len(multipliers) <= 1 and all(m >= 1 and m == int(m) for m in multipliers)
