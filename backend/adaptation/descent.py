"""A style's tensors on their way down: Adam with a warm-up, steps that are undone, offsets that are pruned, and a
running average, which is the style; and the state of all that, for a run that goes on later.

Source  the average: Polyak and Juditsky 1992, as an exponential one of the last steps, as for StyleGAN's generators
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor

from ..errors import BadCheckpoint, NonFinite

WARMUP = 20
"""Iterations over which the learning rate rises: Adam's first steps are all of full length, whatever the gradient."""
AVERAGED = 0.95
"""The share of the average that stays at each step: batches are small, and one step is as much noise as way."""
MAX_ROLLBACKS = 4
FUSED = ("cpu", "cuda")
"""Devices where PyTorch has an Adam that takes all tensors at once."""
MOMENTS = {"mean": "exp_avg", "square": "exp_avg_sq"}
"""Adam's state by our names."""
STATES = (*MOMENTS, "mask", "last")


class Descent:
    """tensors        by name; those that train now require gradients
    average        of the last steps, by name: what is used of them
    learning_rate  of now: halved at each step that was undone
    rollbacks      how many were
    """

    def __init__(self, tensors: dict[str, Tensor], *, learning_rate: float, betas: tuple[float, float]) -> None:
        self.tensors, self.learning_rate, self.betas = tensors, learning_rate, betas
        self.average, self._before = _copies(tensors), _copies(tensors)
        self.rollbacks = self._warmed = 0
        self._mask: dict[str, Tensor] = {}
        self._train(tensors)
        self._optimizer = self._fresh_optimizer()

    @property
    def begun(self) -> bool:
        """Whether anything trains yet."""
        return self._optimizer is not None

    def change(self, tensors: dict[str, Tensor], trained: Collection[str]) -> None:
        """Go on with these tensors, of which some train. Adam starts anew where those are others than before."""
        self.tensors, self._before = tensors, _copies(tensors)
        self.average = _copies(tensors) | {name: t for name, t in self.average.items() if name in tensors}
        before = {name for name, t in tensors.items() if t.requires_grad}
        self._train(trained)
        if before != set(trained):
            self._optimizer = self._fresh_optimizer()

    def step(self, gradients: Callable[[], dict[str, float]]) -> dict[str, float]:
        """One step down the gradients that are left in the tensors. One that is not finite is undone, and made again
        at half the rate. Returns what `gradients` returned, and "rollbacks" where there were any.

        Raises  NonFinite after several such steps
        """
        for _ in range(MAX_ROLLBACKS):
            _copy(self.tensors, self._before)
            numbers = self._try_step(gradients)
            if all(math.isfinite(v) for v in numbers.values()) and self._finite():
                self._warmed += 1
                self._take_in()
                return numbers | ({"rollbacks": float(self.rollbacks)} if self.rollbacks else {})
            _copy(self._before, self.tensors)
            self.rollbacks += 1
            self.learning_rate /= 2
            self._optimizer = self._fresh_optimizer()
        raise NonFinite("The adaptation diverged; try a smaller learning rate, another method or another seed.")

    @torch.no_grad()
    def prune(self, share: float) -> None:
        """Keep this share of the numbers, the largest; the others are 0 from now on."""
        sizes = torch.cat([t.abs().flatten() for t in self.tensors.values()])
        least = sizes.topk(max(1, round(share * len(sizes)))).values[-1]
        self._mask = {name: (t.abs() >= least).to(t) for name, t in self.tensors.items()}
        for name, mask in self._mask.items():
            self.tensors[name].mul_(mask)
            self.average[name].mul_(mask)

    def state(self) -> dict[str, Tensor]:
        """All that a step depends on beside the average and the gradients.

        "counts"     int64 [steps of Adam, steps since the warm-up began, rollbacks]
        "last/P", "mean/P", "square/P", "mask/P"  of tensor P: itself after the last step, Adam's two moments (where it
        trains now), what pruning left
        """
        optimizer, kept = self._optimizer, {name: t for name, t in self.tensors.items() if t.requires_grad}
        moments = optimizer.state if optimizer else {}
        steps = max((int(entry["step"]) for entry in moments.values()), default=0)
        state = {"counts": torch.tensor([steps, self._warmed, self.rollbacks])}
        for kind, key in MOMENTS.items():
            state |= {
                f"{kind}/{n}": moments[t][key].clone() if t in moments else torch.zeros_like(t) for n, t in kept.items()
            }
        state |= {f"last/{name}": t for name, t in _copies(self.tensors).items()}
        return state | {f"mask/{name}": mask.clone() for name, mask in self._mask.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state` gave; the tensors are the average of then. Raises BadCheckpoint where it does not belong
        to these tensors."""
        parts = {kind: {n[len(kind) + 1 :]: t for n, t in state.items() if n.startswith(f"{kind}/")} for kind in STATES}
        shapes = {name: t.shape for name, t in self.tensors.items()}
        try:
            if not all(
                t.shape == shapes[name] and t.isfinite().all() for part in parts.values() for name, t in part.items()
            ):
                raise ValueError("not the state of these tensors")
            with torch.no_grad():
                for name, tensor in self.tensors.items():
                    tensor.copy_(parts["last"][name])
            trained = parts["mean"].keys()
            steps, self._warmed, self.rollbacks = (int(n) for n in state["counts"])
            self._train(trained)
            optimizer = self._fresh_optimizer()
            if optimizer:
                for name in trained:
                    tensor = self.tensors[name]
                    moments = {key: parts[kind][name].to(tensor.device) for kind, key in MOMENTS.items()}
                    done = torch.tensor(float(steps), device=tensor.device)
                    optimizer.state[tensor] = {"step": done, **moments}
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise damaged() from error
        self._optimizer = optimizer
        self._mask = {name: mask.to(self.tensors[name].device) for name, mask in parts["mask"].items()}
        self.learning_rate /= 2**self.rollbacks

    def _train(self, names: Collection[str]) -> None:
        """Train the tensors of these names and no others."""
        for name, tensor in self.tensors.items():
            tensor.requires_grad_(name in names)

    def _fresh_optimizer(self) -> torch.optim.Adam | None:
        trained = [t for t in self.tensors.values() if t.requires_grad]
        if not trained:
            return None
        fused = trained[0].device.type in FUSED
        return torch.optim.Adam(trained, lr=self.learning_rate, betas=self.betas, fused=fused)

    def _try_step(self, gradients: Callable[[], dict[str, float]]) -> dict[str, float]:
        assert self._optimizer is not None  # whatever selects has selected by now
        for group in self._optimizer.param_groups:
            group["lr"] = self.learning_rate * min(1.0, (self._warmed + 1) / WARMUP)
        numbers = gradients()
        self._optimizer.step()
        with torch.no_grad():
            for name, mask in self._mask.items():
                self.tensors[name].mul_(mask)
        return numbers

    @torch.no_grad()
    def _take_in(self) -> None:
        """The last step into the average; more of it into a short one, so that the start is soon forgotten."""
        share = max(1 - AVERAGED, 10 / (self._warmed + 10))
        average = [self.average[name] for name in self.tensors]
        torch._foreach_lerp_(average, list(self.tensors.values()), share)

    @torch.no_grad()
    def _finite(self) -> bool:
        """Asked of all tensors at once: every answer makes a GPU wait."""
        largest = torch._foreach_norm(list(self.tensors.values()), ord=math.inf)
        return bool(torch.stack(largest).isfinite().all())


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: t.detach().clone() for name, t in tensors.items()}


@torch.no_grad()
def _copy(tensors: Mapping[str, Tensor], places: Mapping[str, Tensor]) -> None:
    """Of the same names in the same order; one piece of work for a GPU, whatever their number."""
    torch._foreach_copy_([*places.values()], [*tensors.values()])


def damaged() -> BadCheckpoint:
    return BadCheckpoint(
        "The state that the run was to go on from is damaged or another run's; start without --resume."
    )
