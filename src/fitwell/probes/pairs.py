"""What the loss is given: the network's output and the target beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fitwell.anatomy import tensors_in
from fitwell.interfaces import Reading
from fitwell.probes.features import as_rows, wide
from fitwell.probes.hooks import Hook, Hooked
from fitwell.probes.shift import Tallies
from fitwell.records import Quantity

_LARGEST = torch.finfo(torch.float32).max
_MOST_VALUES = 262_144


@final
class Pairs(Hooked):
    """Reads outputs and targets of every training loss that a loss module computes.

    Of the target: its mean, standard deviation, smallest and largest value, places that the loss
    ignores left out. Of the output: its smallest and largest value, how far the rows differ, and
    how far the sum of a row is from 1. Deviations and sums come from evenly spaced rows of a
    large batch, the extremes from all of it.

    Args:
        loss_fn: The loss module that the training loop calls with (output, target).
        tallies: Accounts to add to: targets always, outputs in the first step alone.
        spending: Makes a context manager that stands around each reading, to time it.
    """

    def __init__(
        self,
        loss_fn: nn.Module,
        *,
        tallies: Tallies | None = None,
        spending: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        super().__init__()
        self._loss_fn = loss_fn
        self._spending = spending
        self._tallies = tallies
        self._steps = 0
        self._readings: list[Reading] = []
        self._facts: Mapping[str, Any] = {}

    def _attach(self) -> Iterable[RemovableHandle]:
        self._readings = []
        return (self._loss_fn.register_forward_hook(Hook(self._called), with_kwargs=True),)

    def _called(self, module: nn.Module, args: object, kwargs: object, loss: object) -> None:
        given = list(tensors_in((args, kwargs)))[:2]
        if len(given) < 2 or not (isinstance(loss, Tensor) and loss.requires_grad):
            return
        output, target = given
        with self._spending():
            self._facts = self._facts or pair_facts(output, target)
            ignored = getattr(module, "ignore_index", None)
            self._readings += pair_readings(output, target, ignored=ignored)
            if self._tallies is not None and target.numel() and output.numel():
                self._tallies.targets.add(target, ignored=ignored)
                if self._steps == 0:
                    self._tallies.outputs.add(output)

    def after_update(self) -> None:
        """Count the steps: only in the first one is the network untrained."""
        self._steps += 1

    def readings(self) -> Iterable[Reading]:
        """Return the readings of every training loss of the step."""
        return tuple(self._readings)

    def facts(self) -> Mapping[str, Any]:
        """Return the shapes of output and target in the first step, and the kind of the target."""
        return self._facts


def pair_facts(output: Tensor, target: Tensor) -> dict[str, Any]:
    """Return the shapes of output and target, and of which kind the target is."""
    booleans = target.dtype == torch.bool
    kind = "booleans" if booleans else "floats" if target.is_floating_point() else "integers"
    return {
        "output_shape": tuple(output.shape),
        "target_shape": tuple(target.shape),
        "target_kind": kind,
    }


@torch.no_grad()
def pair_readings(
    output: Tensor, target: Tensor, *, ignored: int | None = None
) -> tuple[Reading, ...]:
    """Measure what a loss is given, without waiting for it.

    Args:
        output: What the network put out, (rows, …).
        target: What it is compared with.
        ignored: Integer target that the loss leaves out.
    """
    found: list[Reading] = []
    if target.numel() and not target.is_complex():
        found += _of_target(target.detach(), ignored)
    if output.numel() and output.is_floating_point():
        classes = output.dim() > 2 and not target.is_floating_point()
        found += _of_output(output.detach(), 1 if classes else output.dim() - 1)
    return tuple(found)


def _of_target(target: Tensor, ignored: int | None) -> Iterator[Reading]:
    values = target if target.is_floating_point() else target.to(torch.float32)
    values = wide(values)
    seen = torch.ones_like(values)
    if ignored is not None and not target.is_floating_point():
        seen = (target != ignored).to(values.dtype)
    number = seen.sum().clamp_min(1)
    mean = (values * seen).sum() / number
    spread = ((values - mean).square() * seen).sum().div(number).sqrt()
    rows = len(target) if target.dim() else 1
    yield Reading(Quantity.TARGET_MEAN, mean, count=rows)
    yield Reading(Quantity.TARGET_SPREAD, spread, count=rows)
    # Where all are ignored, both extremes are the mean, 0.
    inside = torch.where(seen > 0, values, mean)
    yield Reading(Quantity.TARGET_MIN, inside.amin(), count=rows)
    yield Reading(Quantity.TARGET_MAX, inside.amax(), count=rows)


def _of_output(output: Tensor, axis: int) -> Iterator[Reading]:
    rows = len(output) if output.dim() else 1
    # A masked score is infinite by design: no sign of a broken network.
    smallest, largest = (wide(v).clamp(-_LARGEST, _LARGEST) for v in output.aminmax())
    yield Reading(Quantity.OUTPUT_MIN, smallest, count=rows)
    yield Reading(Quantity.OUTPUT_MAX, largest, count=rows)
    if not output.dim():
        return
    if rows > 1:
        units = wide(as_rows(output.flatten(1) if output.dim() > 1 else output))
        units = torch.where(units.isfinite(), units, torch.zeros_like(units))
        apart = units - units[:1]
        variance = apart.square().mean(0) - apart.mean(0).square()
        spread = variance.clamp_min(0).sqrt().mean()
        yield Reading(Quantity.OUTPUT_SPREAD, spread, count=len(units))
    if output.dim() > 1 and output.shape[axis]:
        table = output.movedim(axis, -1).flatten(0, -2)
        table = table[:: max(1, -(-table.numel() // _MOST_VALUES))]
        error = (wide(table).sum(-1) - 1).abs().amax()
        yield Reading(Quantity.ROW_SUM_ERROR, error.clamp(max=_LARGEST), count=len(table))
