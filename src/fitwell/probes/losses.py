"""What the loss is, read from an ``nn.Module`` loss function as it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, final

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fitwell.anatomy import tensors_in
from fitwell.interfaces import Numbers, Reading
from fitwell.probes.clock import Clock
from fitwell.probes.hooks import Hook, Hooked
from fitwell.probes.mode import note_return
from fitwell.probes.norms import as_readings, joined
from fitwell.records import Quantity, Row

_TOGETHER = 1024
"""So many losses are joined into one tensor: a tensor of one number takes some 500 bytes."""


class _Mark(NamedTuple):
    """When a loss was computed.

    Args:
        step: Optimizer step that it belongs to.
        epoch: Number of evaluations before it.
        rows: Rows of its batch.
        group: Losses of one backward pass, or of one evaluation, have the same number.
        phase: ``"train"`` or ``"validation"``.
    """

    step: int
    epoch: int
    rows: int
    group: int
    phase: str


@final
class Losses(Hooked):
    """Reads every loss that a loss module computes, without waiting for it.

    A loss that gradients can flow from, of a network in training mode, belongs to training, any
    other to evaluation: but if a gradient does come back to it, it was one of training in the
    wrong mode. An unbroken stretch of the latter is one evaluation, weighted by the rows
    of its batches; a training loss ends it, or that it is read, as a watch does at the end of the
    next step. Sums over a batch are turned into means. Several training losses with no backward
    pass between them, as Mixup has them, count as one: their mean, weights left aside.

    Unlike other probes it stands for a whole run: what was read is handed out by ``readings``
    once, and then forgotten. Where steps are so short that keeping a loss would cost too much of
    them, those of some training steps are left out: ``stride`` says of how many steps one is kept.

    Args:
        loss_fn: The loss module that the training loop calls.
        model: The network that is trained.
        clock: Tells the step; the number of evaluations is noted there.
        spending: Makes a context manager that stands around each reading, to time it.

    Attributes:
        stride: The losses of the steps that it divides are kept.
    """

    def __init__(
        self,
        loss_fn: nn.Module,
        model: nn.Module,
        clock: Clock | None = None,
        *,
        spending: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        super().__init__()
        self._loss_fn, self._model = loss_fn, model
        self._clock = clock or Clock()
        self._spending = spending
        self._followed = next((p for p in [*model.parameters()][::-1] if p.requires_grad), None)
        self._values: list[Tensor] = []
        self._marks: list[_Mark] = []
        self._packed: list[tuple[list[_Mark], Sequence[Tensor]]] = []
        self._group = 0
        self._backward: tuple[int, int, int] = (-1, 0, 0)
        self._evaluating = self._several = False
        self._undecided: tuple[Tensor, int, list[bool]] | None = None
        self.stride = 1

    def _attach(self) -> Iterable[RemovableHandle]:
        return (self._loss_fn.register_forward_hook(Hook(self._computed), with_kwargs=True),)

    def _computed(self, module: nn.Module, args: Any, kwargs: Any, output: object) -> None:
        with self._spending():
            if not isinstance(output, Tensor) or not output.numel():
                return
            if self._undecided is not None:
                self._decide()
            training = self._model.training and output.requires_grad
            if not training or self._clock.step % self.stride == 0:
                self._note(module, (args, kwargs), output, training=training)

    def _note(self, module: nn.Module, given: Any, output: Tensor, *, training: bool) -> None:
        args = given[0]
        quick = args and isinstance(args[0], Tensor)
        first = args[0] if quick else next(tensors_in(given), None)
        rows = len(first) if first is not None and first.dim() else 1
        value = output.detach()
        value = value.mean() if value.dim() else value.clone()
        if getattr(module, "reduction", "") == "sum":
            value = value / rows
        if output.requires_grad and not training:
            came: list[bool] = []
            self._undecided = value, rows, came
            output.register_hook(Hook(note_return, came, False))  # type: ignore[no-untyped-call]
        else:
            self._file(value, rows, training=training)

    def _decide(self) -> None:
        """Count a loss in evaluation mode as one of training if a gradient came back to it."""
        if self._undecided is not None:
            value, rows, came = self._undecided
            self._undecided = None
            self._file(value, rows, training=bool(came))

    def _file(self, value: Tensor, rows: int, *, training: bool) -> None:
        clock = self._clock
        if training:
            self._end_evaluation()
            self._group += not self._same_backward()
            self._marks.append(_Mark(clock.step, clock.epoch, rows, self._group, "train"))
        else:
            self._group += not self._evaluating
            self._evaluating = clock.evaluated = True
            mark = _Mark(clock.last_step, clock.epoch, rows, self._group, "validation")
            self._marks.append(mark)
        self._values.append(value)
        if len(self._values) >= _TOGETHER:
            self._pack()

    def _same_backward(self) -> bool:
        """Whether no backward pass came between this training loss and the one before."""
        gradient = self._followed.grad if self._followed is not None else None
        version = gradient._version if gradient is not None else -1
        now = self._clock.step, id(gradient), version
        same, self._backward = now == self._backward, now
        self._several |= same
        return same

    def _end_evaluation(self) -> None:
        self._clock.epoch += self._evaluating
        self._evaluating = False

    def _pack(self) -> None:
        if self._values:
            self._packed.append((self._marks, joined(self._values)))
            self._values, self._marks = [], []

    def numbers(self) -> Iterable[Numbers]:
        """Return what was read since the last call; an evaluation under way ends with it."""
        self._decide()
        self._end_evaluation()
        self._pack()
        packed, self._packed = self._packed, []
        marks = [mark for own, _ in packed for mark in own]
        values = [value for _, own in packed for value in own]
        if not marks:
            return ()

        def finish(numbers: Sequence[float]) -> Iterator[Row]:
            return _grouped(marks, numbers)

        return (Numbers(values, finish, stamped=True),)

    def readings(self) -> Iterable[Reading]:
        """Return the losses read since the last call; an evaluation under way ends with it."""
        return tuple(as_readings(self.numbers()))

    def facts(self) -> Mapping[str, Any]:
        """Return whether a training loss was one of several: not all of what is trained on."""
        return {"noisy_training_loss": True} if self._several else {}


def _grouped(marks: Sequence[_Mark], numbers: Sequence[float]) -> Iterator[Row]:
    """Yield the mean of each group, evaluations weighted by rows."""
    place = 0
    while place < len(marks):
        first, end = marks[place], place
        while end < len(marks) and marks[end].group == first.group:
            end += 1
        own, values = marks[place:end], numbers[place:end]
        training = first.phase == "train"
        weights = [1 if training else mark.rows for mark in own]
        total = sum(weights)
        mean = sum(w * v for w, v in zip(weights, values, strict=True)) / max(total, 1)
        count = max(mark.rows for mark in own) if training else total
        yield Row(first.step, Quantity.LOSS, mean, "", first.phase, first.epoch, 0, count)
        place = end
