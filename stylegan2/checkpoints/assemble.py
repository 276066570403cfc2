"""From a config and named tensors, not yet in memory, to a generator: the one gate that every importer goes through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..config import GeneratorConfig
from ..errors import ConfigError, CorruptTensors, ForeignCheckpoint, UnsupportedArchitecture
from ..networks import Generator
from ..networks import Mapping as MappingNetwork

LARGEST_SETTING = 1e30
MEAN_LATENT_SEED = 0
MEAN_LATENT_COUNT = 10_000


@dataclass(frozen=True)
class PendingTensor:
    """A tensor of a file: its shape is known, its values are read by `load()`."""

    shape: tuple[int, ...]
    load: Callable[[], Tensor]

    def reshape(self, *shape: int) -> PendingTensor:
        return PendingTensor(shape, lambda: self.load().reshape(shape))

    def changed(self, change: Callable[[Tensor], Tensor]) -> PendingTensor:
        """`change` of it, once it is loaded. Raises CorruptTensors if it cannot have such a shape."""
        try:
            shape = tuple(change(torch.empty(self.shape, device="meta")).shape)
        except (RuntimeError, IndexError) as error:
            raise CorruptTensors("A tensor of the file has another number of dimensions than it needs.") from error
        return PendingTensor(shape, lambda: change(self.load()))

    @staticmethod
    def of(tensor: Tensor) -> PendingTensor:
        return PendingTensor(tuple(tensor.shape), lambda: tensor)


def assemble(config: GeneratorConfig, tensors: Mapping[str, PendingTensor], *, source: str) -> Generator:
    """The generator whose state is `tensors`, as float32 on the CPU.

    source  names the file in sentences
    All names and shapes are compared before the first value is read, so a file cannot make this take more memory
    than it has bytes.
    Raises  CorruptTensors
    """
    with torch.device("meta"):
        generator = Generator(config)
    expected = {name: tuple(t.shape) for name, t in generator.state_dict().items()}
    refuse(source, "lacks", expected.keys() - tensors.keys())
    refuse(source, "has unknown", tensors.keys() - expected.keys())
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise CorruptTensors(
                f"In {source} the tensor {name} has the shape {list(tensors[name].shape)} and not {list(shape)}: "
                "its settings and its tensors disagree; get the file again."
            )
    state = {name: finite(source, name, tensors[name].load()) for name in expected}
    generator.load_state_dict(state, assign=True)
    return generator.requires_grad_(False).eval()


def assemble_foreign(config: GeneratorConfig, tensors: Mapping[str, PendingTensor], *, source: str) -> Generator:
    """`assemble` for a file that may carry no mean latent: it is recomputed then."""
    if "mapping.w_avg" in tensors:
        return assemble(config, tensors, source=source)
    none = PendingTensor.of(torch.zeros(config.w_dim))
    generator = assemble(config, {**tensors, "mapping.w_avg": none}, source=source)
    generator.mapping.w_avg.copy_(mean_latent(generator.mapping))
    return generator


def refuse(source: str, problem: str, names: Iterable[str]) -> None:
    """CorruptTensors if there are any `names`: "x.pt lacks 12 tensors (a, b, c, ...)"."""
    found = sorted(names)
    if found:
        shown = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
        count = "1 tensor" if len(found) == 1 else f"{len(found)} tensors"
        raise CorruptTensors(f"{source} {problem} {count} ({shown}), so it is no whole generator; get the file again.")


def finite(source: str, name: str, tensor: Tensor) -> Tensor:
    """`tensor` as float32; CorruptTensors if it holds NaN or infinity or is not of floating point."""
    if not tensor.dtype.is_floating_point:
        raise CorruptTensors(f"In {source} the tensor {name} holds {tensor.dtype} and not floating-point numbers.")
    tensor = tensor.to(torch.float32).contiguous()
    if not bool(torch.isfinite(tensor).all()):
        raise CorruptTensors(f"In {source} the tensor {name} holds NaN or infinity: the model diverged in training.")
    return tensor


def number(source: str, name: str, value: Any) -> float:
    """A setting of a foreign file as a number. Raises ForeignCheckpoint."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST_SETTING:
        raise ForeignCheckpoint(f"{source} has a {name} that is no number; it is damaged: get it again.")
    return float(value)


def shown(value: Any) -> str:
    """A setting of a foreign file, for a sentence; what is nested is not followed, since it may have no end."""
    if value is None or isinstance(value, str | bool):
        return repr(value[:20] if isinstance(value, str) else value)
    return "of another kind"


def make_config(source: str, /, **settings) -> GeneratorConfig:
    """A config from what a foreign file says; what makes no generator is an unsupported architecture."""
    try:
        return GeneratorConfig(**settings)
    except ConfigError as error:
        raise UnsupportedArchitecture(f"{source} describes a generator that cannot be built: {error}") from error


def mean_latent(mapping: MappingNetwork) -> Tensor:
    """The mean of w over 10,000 seeded latents (and classes): [w_dim]. For files that carry none."""
    draw = torch.Generator().manual_seed(MEAN_LATENT_SEED)
    z = torch.randn(MEAN_LATENT_COUNT, mapping.z_dim, generator=draw)
    labels = None
    if mapping.c_dim > 0:
        classes = torch.randint(mapping.c_dim, [MEAN_LATENT_COUNT], generator=draw)
        labels = torch.nn.functional.one_hot(classes, mapping.c_dim)
    with torch.no_grad():
        return mapping(z, labels).mean(0)
