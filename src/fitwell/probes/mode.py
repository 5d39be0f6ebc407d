"""Whether the network was in training mode when it ran."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fitwell.anatomy import tensors_in
from fitwell.interfaces import Numbers, Reading
from fitwell.probes.clock import Clock
from fitwell.probes.hooks import Hook, Hooked
from fitwell.probes.norms import as_readings
from fitwell.records import Quantity, Row


@final
class Mode(Hooked):
    """Reads whether passes that a backward pass follows ran in training mode.

    A hook on the output tells whether gradients came back: a pass that is merely run with
    gradients enabled, as an evaluation may be, is not one of training.

    Args:
        model: The network; one light hook stands on it during the step.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._model = model
        self._modes: list[bool] = []

    def _attach(self) -> Iterable[RemovableHandle]:
        self._modes = []
        return (self._model.register_forward_hook(Hook(self._ran)),)

    def _ran(self, module: nn.Module, args: object, output: object) -> None:
        if not torch.is_grad_enabled():
            return
        made = (t for t in tensors_in(output) if t.requires_grad and not t.is_leaf)
        tensor = next(made, None)
        if tensor is not None:
            hook = Hook(note_return, self._modes, module.training)
            tensor.register_hook(hook)  # type: ignore[no-untyped-call]

    def readings(self) -> Iterable[Reading]:
        """Return 1 or 0 for every pass that gradients came back to."""
        return tuple(
            Reading(Quantity.TRAINING_MODE, torch.tensor(float(mode))) for mode in self._modes
        )


def note_return(modes: list[bool], mode: bool, gradient: Tensor) -> None:
    """Note, from a hook on a tensor, that a gradient came back to it."""
    modes.append(mode)


@final
class EvaluationMode(Hooked):
    """Reads whether passes without gradients ran in training mode; stands for a whole run.

    An unbroken stretch of passes in one mode, between two steps, is one reading; its ``count`` is
    their number.

    Args:
        model: The network; its hook does next to nothing while gradients are enabled.
        clock: Tells the step.
    """

    def __init__(self, model: nn.Module, clock: Clock | None = None) -> None:
        super().__init__()
        self._model = model
        self._clock = clock or Clock()
        self._stretches: list[tuple[bool, int, int]] = []

    def _attach(self) -> Iterable[RemovableHandle]:
        return (self._model.register_forward_pre_hook(Hook(self._began)),)

    def _began(self, module: nn.Module, args: object) -> None:
        if torch.is_grad_enabled():
            return
        self._clock.evaluated = True
        step = self._clock.last_step
        mode, passes, at = self._stretches[-1] if self._stretches else (False, 0, step)
        if passes and mode == module.training and at == step:
            self._stretches[-1] = mode, passes + 1, step
        else:
            self._stretches.append((module.training, 1, step))

    def numbers(self) -> Iterable[Numbers]:
        """Return one row a stretch since the last call, with the step that it belongs to."""
        stretches, self._stretches = self._stretches, []
        epoch = self._clock.epoch

        def finish(numbers: Sequence[float]) -> Iterator[Row]:
            for mode, passes, step in stretches:
                kind = Quantity.TRAINING_MODE, float(mode), "", "validation"
                yield Row(step, *kind, epoch, 0, passes)

        return (Numbers((), finish, stamped=True),) if stretches else ()

    def readings(self) -> Iterable[Reading]:
        """Return one reading a stretch since the last call."""
        return tuple(as_readings(self.numbers()))
