"""Dropout masks of many runs, each drawn as the run draws it when it trains alone."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from torch import Generator, Tensor, nn

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
"""Modules that multiply their input with a mask; all but the first drop whole channels."""


def call_name(path: str, number: int) -> str:
    """Return what a call of a dropout is known by: the first by its name alone."""
    return path if number == 1 else f"{path}#{number}"


def dropouts(model: nn.Module) -> dict[str, nn.Module]:
    """Return the dropout modules of a network by name."""
    return {name: m for name, m in model.named_modules() if type(m) in DROPOUTS}


@final
class Masks:
    """Draws what the dropouts of every run multiply their input with in a training step.

    Every run has a generator of its own, in the state in which torch's global one is when the run
    trains alone, and draws from it in the order in which its network calls the dropouts.

    Args:
        models: The networks, in the order of the runs.
        seeds: The seed of each.
    """

    def __init__(self, models: Sequence[nn.Module], seeds: Sequence[int]) -> None:
        self._model = copy.deepcopy(models[0])
        self._paths = list(dropouts(self._model))
        self._rates = [[float(m.get_submodule(p).p) for p in self._paths] for m in models]  # type: ignore[arg-type]
        device = next((p.device for p in self._model.parameters()), torch.device("cpu"))
        self._generators = [Generator(device).manual_seed(seed) for seed in seeds]
        self._known: dict[tuple[int, ...], dict[str, Tensor]] = {}

    def keep(self, runs: Sequence[int]) -> None:
        """Go on with some of the runs."""
        self._rates = [self._rates[run] for run in runs]
        self._generators = [self._generators[run] for run in runs]
        self._known.clear()

    def draw(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return the masks for batches (runs, batch, ...), scaled so that means stay the same."""
        if not self._paths:
            return {}
        key = tuple(x.shape)
        if key not in self._known:
            shapes = mask_shapes(self._model, x[0])
            self._known[key] = {call: self._empty(x, call, shape) for call, shape in shapes.items()}
        masks = self._known[key]
        for call, mask in masks.items():
            self._fill(mask, self._of(call))
        return masks

    def _of(self, call: str) -> list[float]:
        """Return the rate of every run."""
        place = self._paths.index(call.partition("#")[0])
        return [rates[place] for rates in self._rates]

    def _empty(self, x: Tensor, call: str, shape: Sequence[int]) -> Tensor:
        """Return the masks of a dropout that keeps everything, or nothing, where a run asks so."""
        dtype = next(p.dtype for p in self._model.parameters() if p.is_floating_point())
        mask = torch.ones((len(x), *shape), dtype=dtype, device=x.device)
        for part, rate in zip(mask, self._of(call), strict=True):
            if rate == 1:
                part.zero_()
        return mask

    def _fill(self, mask: Tensor, rates: Sequence[float]) -> None:
        for part, rate, generator in zip(mask, rates, self._generators, strict=True):
            if 0 < rate < 1:
                part.bernoulli_(1 - rate, generator=generator)
        kept = [1 - rate if 0 < rate < 1 else 1.0 for rate in rates]
        if len(set(kept)) == 1:
            mask.div_(kept[0])
        else:
            shares = torch.tensor(kept, dtype=mask.dtype, device=mask.device)
            mask.div_(shares.view(-1, *(1 for _ in mask.shape[1:])))


@torch.no_grad()
def mask_shapes(model: nn.Module, x: Tensor) -> dict[str, tuple[int, ...]]:
    """Return the shape of the mask of every call of a dropout, in order; see :func:`call_name`.

    Args:
        model: The network; its buffers may be moved.
        x: A batch.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    calls: dict[str, int] = {}
    handles = []

    def watch(name: str, module: nn.Module) -> None:
        def note(_: Any, args: tuple[Tensor, ...]) -> None:
            calls[name] = calls.get(name, 0) + 1
            shape = tuple(args[0].shape)
            channels = type(module) is not nn.Dropout
            shapes[call_name(name, calls[name])] = (
                (*shape[:2], *(1 for _ in shape[2:])) if channels else shape
            )

        handles.append(module.register_forward_pre_hook(note))

    for name, module in dropouts(model).items():
        watch(name, module)
    model.train()
    try:
        with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return shapes


@final
class Masked(nn.Module):
    """Stands in the place of a dropout: multiplies with a mask that is handed in."""

    mask: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.ones(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the input times the mask in training."""
        return x * self.mask if self.training else x
