"""The optimizers of torch on stacked parameters, at a learning rate a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from fitwell.studies.stacked.program import Unstackable
from fitwell.studies.stacked.storage import Slab

_NO_MATTER = frozenset(
    {"params", "lr", "initial_lr", "foreach", "fused", "capturable", "differentiable"}
)
"""Entries of a parameter group that do not change what an update is."""

Pieces: TypeAlias = list[Tensor]
"""Flat pieces of memory, in the same order for parameters, gradients and memory."""


class Update(ABC):
    """One kind of update, of a group of parameters, in all runs.

    Args:
        settings: What torch's optimizer of that kind keeps in a parameter group.
        weights: The parameters of all runs.
        memories: How many tensors it keeps for each parameter.
    """

    def __init__(self, settings: Mapping[str, Any], weights: Slab, memories: int) -> None:
        self._settings = settings
        self.memory = [weights.like() for _ in range(memories)]

    def begin(self) -> None:
        """Begin a step."""

    @abstractmethod
    def __call__(
        self, weights: Pieces, gradients: Pieces, memory: list[Pieces], rate: float
    ) -> None:
        """Update flat pieces of parameters in place."""


@final
class AdamUpdate(Update):
    """Adam and AdamW, by torch's fused kernels."""

    def __init__(self, settings: Mapping[str, Any], weights: Slab) -> None:
        super().__init__(settings, weights, 2)
        apart = settings.get("decoupled_weight_decay", False)
        self._kernel: Any = torch._fused_adamw_ if apart else torch._fused_adam_
        self._step = torch.zeros((), dtype=torch.float32, device=weights.flat.device)
        self._options = {
            "beta1": float(settings["betas"][0]),
            "beta2": float(settings["betas"][1]),
            "weight_decay": settings["weight_decay"],
            "eps": settings["eps"],
            "amsgrad": False,
            "maximize": settings["maximize"],
        }

    def begin(self) -> None:
        """Count the step."""
        self._step += 1

    def __call__(
        self, weights: Pieces, gradients: Pieces, memory: list[Pieces], rate: float
    ) -> None:
        """Update flat pieces of parameters in place."""
        steps = [self._step] * len(weights)
        self._kernel(weights, gradients, *memory, [], steps, lr=rate, **self._options)


@final
class SGDUpdate(Update):
    """Stochastic gradient descent, with or without momentum, by torch's fused kernel."""

    def __init__(self, settings: Mapping[str, Any], weights: Slab) -> None:
        super().__init__(settings, weights, 1 if settings["momentum"] else 0)
        self._first = True
        self._begun = False
        self._options = {
            key: settings[key]
            for key in ("weight_decay", "momentum", "dampening", "nesterov", "maximize")
        }

    def begin(self) -> None:
        """Know whether it is the first step."""
        self._first, self._begun = not self._begun, True

    def __call__(
        self, weights: Pieces, gradients: Pieces, memory: list[Pieces], rate: float
    ) -> None:
        """Update flat pieces of parameters in place."""
        momenta = memory[0] if memory else []
        torch._fused_sgd_(
            weights, gradients, momenta, lr=rate, is_first_step=self._first, **self._options
        )


@final
class RMSpropUpdate(Update):
    """RMSprop, as torch works it out for one tensor."""

    def __init__(self, settings: Mapping[str, Any], weights: Slab) -> None:
        super().__init__(settings, weights, 1 + bool(settings["momentum"]) + settings["centered"])

    def __call__(
        self, weights: Pieces, gradients: Pieces, memory: list[Pieces], rate: float
    ) -> None:
        """Update flat pieces of parameters in place."""
        for index, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
            self._one(weight, gradient, [tensors[index] for tensors in memory], rate)

    def _one(self, weight: Tensor, gradient: Tensor, memory: list[Tensor], rate: float) -> None:
        chosen, (squares, *others) = self._settings, memory
        if chosen["maximize"]:
            gradient = -gradient
        if chosen["weight_decay"]:
            gradient = gradient.add(weight, alpha=chosen["weight_decay"])
        squares.mul_(chosen["alpha"]).addcmul_(gradient, gradient, value=1 - chosen["alpha"])
        spread = squares
        if chosen["centered"]:
            mean = others.pop()
            mean.lerp_(gradient, 1 - chosen["alpha"])
            spread = squares.addcmul(mean, mean, value=-1)
        size = spread.sqrt().add_(chosen["eps"])
        if chosen["momentum"]:
            others[0].mul_(chosen["momentum"]).addcdiv_(gradient, size)
            weight.add_(others[0], alpha=-rate)
        else:
            weight.addcdiv_(gradient, size, value=-rate)


_KINDS: Mapping[type[Optimizer], type[Any]] = {
    SGD: SGDUpdate,
    Adam: AdamUpdate,
    AdamW: AdamUpdate,
    RMSprop: RMSpropUpdate,
}


def refused(optimizer: Optimizer) -> str | None:
    """Say why an optimizer cannot be stacked, or None if it can."""
    kind = type(optimizer)
    if kind not in _KINDS:
        return f"the optimizer {kind.__name__} is stepped by torch alone"
    if any(group.get("amsgrad") for group in optimizer.param_groups):
        return f"{kind.__name__} with amsgrad is stepped by torch alone"
    return None


@final
class StackedOptimizer:
    """Updates the parameters of all runs.

    Neighbouring runs with an equal rate are updated by one call of a kernel, so that runs are best
    ordered by their rates.

    Args:
        optimizers: What the task made for each run.
        models: The networks that they were made for.
        weights: The parameters of all runs.
        gradients: Their gradients.

    Raises:
        Unstackable: If the optimizers cannot be stacked, or differ in more than the rate.
    """

    def __init__(
        self,
        optimizers: Sequence[Optimizer],
        models: Sequence[nn.Module],
        weights: Slab,
        gradients: Slab,
    ) -> None:
        first = optimizers[0]
        if reason := refused(first):
            raise Unstackable(reason)
        if any(_settings(other) != _settings(first) for other in optimizers):
            raise Unstackable("the optimizers of the runs differ in more than the learning rate")
        names = {id(p): name for name, p in models[0].named_parameters()}
        groups = [[names.get(id(p), "") for p in g["params"]] for g in first.param_groups]
        self._groups = [[n for n in weights.shapes if n in group] for group in groups]
        self._rates = [[float(g["lr"]) for g in optimizer.param_groups] for optimizer in optimizers]
        self._updates = [_KINDS[type(first)](dict(g), weights) for g in first.param_groups]
        self._weights, self._gradients = weights, gradients
        self._pieces: dict[tuple[int, int, int], tuple[Any, ...]] = {}

    def keep(self, runs: Tensor, weights: Slab, gradients: Slab) -> None:
        """Go on with some of the runs, whose parameters are now in these slabs."""
        self._rates = [self._rates[run] for run in runs.tolist()]
        for update in self._updates:
            update.memory = [memory.kept(runs) for memory in update.memory]
        self._weights, self._gradients = weights, gradients
        self._pieces.clear()

    def rates(self, group: int, factors: Sequence[float]) -> list[float]:
        """Return the rate of every run for a group of parameters."""
        return [own[group] * f for own, f in zip(self._rates, factors, strict=True)]

    def names(self) -> list[list[str]]:
        """Return the names of the parameters in every group."""
        return self._groups

    def step(self, factors: Sequence[float]) -> None:
        """Update all parameters, every run at a multiple of its rate."""
        for group, update in enumerate(self._updates):
            update.begin()
            first = 0
            for rate, alike in groupby(self.rates(group, factors)):
                last = first + len(list(alike))
                update(*self._of(group, first, last), rate)
                first = last

    def _of(self, group: int, first: int, last: int) -> tuple[Any, ...]:
        """Return parameters, gradients and memory of some runs, as flat pieces."""
        key = group, first, last
        if key not in self._pieces:
            names = self._groups[group]
            slabs = (self._weights, self._gradients, *self._updates[group].memory)
            weights, gradients, *memory = (slab.pieces(names, first, last) for slab in slabs)
            self._pieces[key] = weights, gradients, memory
        return self._pieces[key]


def _settings(optimizer: Optimizer) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in group.items() if key not in _NO_MATTER}
        for group in optimizer.param_groups
    ]
