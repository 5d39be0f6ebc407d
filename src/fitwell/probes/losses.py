"""What the loss is, read from an ``nn.Module`` loss function as it is called."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Self, final

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fitwell.anatomy import tensors_in
from fitwell.interfaces import Probe, Reading
from fitwell.probes.hooks import Hook
from fitwell.probes.mode import note_return
from fitwell.records import Quantity


@final
class Losses(Probe):
    """Reads every loss that a loss module computes, without waiting for it.

    A loss that gradients can flow from, of a network in training mode, belongs to training, any
    other to evaluation: but if a gradient does come back to it, it was one of training in the
    wrong mode. An unbroken stretch of the latter is one evaluation, weighted by the rows
    of its batches; a training loss or the next optimizer step ends it. Sums over a batch are
    turned into means.

    Unlike other probes it stands for a whole run: what was read is handed out by ``readings``
    once, and then forgotten.

    Args:
        loss_fn: The loss module that the training loop calls.
        model: The network that is trained.
    """

    def __init__(self, loss_fn: nn.Module, model: nn.Module) -> None:
        self._loss_fn = loss_fn
        self._model = model
        self._handle: RemovableHandle | None = None
        self._found: list[Reading] = []
        self._evaluation: list[tuple[Tensor, int]] = []
        self._undecided: tuple[Tensor, int, list[bool]] | None = None

    def __enter__(self) -> Self:
        hook = Hook(self._computed)
        self._handle = self._loss_fn.register_forward_hook(hook, with_kwargs=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    @torch.no_grad()
    def _computed(self, module: nn.Module, args: object, kwargs: object, output: object) -> None:
        if not isinstance(output, Tensor) or not output.numel():
            return
        self._decide()
        given = next(tensors_in((args, kwargs)), None)
        rows = len(given) if given is not None and given.dim() else 1
        value = output.detach().mean() if output.dim() else output.detach().clone()
        if getattr(module, "reduction", "") == "sum":
            value = value / rows
        if not output.requires_grad:
            self._evaluation.append((value, rows))
        elif self._model.training:
            self._trained(value, rows)
        else:
            came: list[bool] = []
            self._undecided = value, rows, came
            output.register_hook(Hook(note_return, came, False))  # type: ignore[no-untyped-call]

    def _trained(self, value: Tensor, rows: int) -> None:
        self._end_evaluation()
        self._found.append(Reading(Quantity.LOSS, value, count=rows))

    def _decide(self) -> None:
        """Count a loss in evaluation mode as one of training if a gradient came back to it."""
        if self._undecided is not None:
            value, rows, came = self._undecided
            self._undecided = None
            if came:
                self._trained(value, rows)
            else:
                self._evaluation.append((value, rows))

    def _end_evaluation(self) -> None:
        if not self._evaluation:
            return
        rows = sum(n for _, n in self._evaluation)
        values = torch.stack([value for value, _ in self._evaluation])
        weights = values.new_tensor([n / rows for _, n in self._evaluation])
        mean = (values * weights).sum()
        self._found.append(Reading(Quantity.LOSS, mean, count=rows, phase="validation"))
        self._evaluation = []

    def after_update(self) -> None:
        """End an evaluation that is under way."""
        self._decide()
        self._end_evaluation()

    def readings(self) -> Iterable[Reading]:
        """Return what was read since the last call; an evaluation under way ends with it."""
        self._decide()
        self._end_evaluation()
        found, self._found = self._found, []
        return tuple(found)
