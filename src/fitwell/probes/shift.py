"""Whether an evaluation draws its rows from where training does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import final

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fitwell.anatomy import tensors_in
from fitwell.interfaces import Reading
from fitwell.probes.features import channels_first
from fitwell.probes.hooks import Hook, Hooked
from fitwell.probes.tallies import Tally
from fitwell.records import Quantity

_EVALUATIONS = 3
_ENOUGH = 2048
"""With so many rows on both sides, chance moves a mean by 0.03 standard deviations."""

_FEWEST = 256


@final
@dataclass
class Tallies:
    """Accounts of what enters the network, of targets, and of outputs before the first update."""

    inputs: Tally = field(default_factory=Tally)
    targets: Tally = field(default_factory=Tally)
    outputs: Tally = field(default_factory=Tally)

    @classmethod
    def of(cls, model: nn.Module) -> Tallies:
        """Return empty accounts for a network."""
        return cls(inputs=Tally(channels_first=channels_first(model)))


@final
class Shift(Hooked):
    """Reads how far inputs, targets and first outputs of evaluations lie from those of training.

    The side of training is kept by the probes of inputs and losses, in sampled steps. This one
    listens to evaluations: passes without gradients or in evaluation mode, whose loss is computed
    where a loss module is known. After each of the first three, one number a thing is read over
    all of them; ``count`` is the smaller number of rows. Then the hooks are gone.

    It stands for a whole run.

    Args:
        model: The network.
        loss_fn: The loss module that is called with (output, target), or None.
        training: What training has shown so far, and will.
        spending: Makes a context manager that stands around each reading, to time it.
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: nn.Module | None,
        training: Tallies,
        *,
        spending: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        super().__init__()
        self._model, self._loss_fn = model, loss_fn
        self._training, self._evaluation = training, Tallies.of(model)
        self._spending = spending
        self._input: Tensor | None = None
        self._evaluations = 0
        self._fresh = self._updated = self._ended = False

    def _attach(self) -> Iterable[RemovableHandle]:
        yield self._model.register_forward_pre_hook(Hook(self._entered), with_kwargs=True)
        if self._loss_fn is not None:
            yield self._loss_fn.register_forward_hook(Hook(self._computed), with_kwargs=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        self._ended = True

    def _detach(self) -> None:
        super()._detach()
        self._input = None

    def _entered(self, module: nn.Module, args: object, kwargs: object) -> None:
        self._input = None
        if torch.is_grad_enabled() and module.training:
            return
        given = [t for t in tensors_in((args, kwargs)) if t.dim() and t.numel()]
        self._input = next((t for t in given if t.is_floating_point()), next(iter(given), None))
        if self._loss_fn is None:
            with self._spending():
                self._note_input()

    def _note_input(self) -> None:
        if self._input is not None and self._evaluation.inputs.rows < _ENOUGH:
            self._evaluation.inputs.add(self._input)
            self._fresh = True
        self._input = None

    def _computed(self, module: nn.Module, args: object, kwargs: object, loss: object) -> None:
        if self._input is None or (isinstance(loss, Tensor) and loss.requires_grad):
            return
        if self._evaluation.inputs.rows >= _ENOUGH:
            return
        with self._spending():
            self._note_input()
            given = [t for t in tensors_in((args, kwargs)) if t.numel()][:2]
            if given and not self._updated:
                self._evaluation.outputs.add(given[0])
            if len(given) > 1:
                ignored = getattr(module, "ignore_index", None)
                self._evaluation.targets.add(given[1], ignored=ignored)

    def readings(self) -> Iterable[Reading]:
        """Return what can be said of the evaluation that has just ended."""
        self._updated = True
        known, new = self._training.inputs.rows, self._evaluation.inputs.rows
        if not self._fresh or not known or not (self._ended or known >= min(new, _FEWEST)):
            return ()
        self._fresh = False
        self._evaluations += 1
        if self._evaluations >= _EVALUATIONS or new >= _ENOUGH:
            self._detach()
        return tuple(self._told())

    @torch.no_grad()
    def _told(self) -> Iterator[Reading]:
        training, evaluation = self._training, self._evaluation
        for quantity, here, there in (
            (Quantity.INPUT_SHIFT, training.inputs, evaluation.inputs),
            (Quantity.TARGET_SHIFT, training.targets, evaluation.targets),
            (Quantity.OUTPUT_SHIFT, training.outputs, evaluation.outputs),
        ):
            value = here.shift(there) if here.rows and there.rows else None
            if value is not None:
                count = min(here.rows, there.rows)
                yield Reading(quantity, value, phase="validation", count=count)
