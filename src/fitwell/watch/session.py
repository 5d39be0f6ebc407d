"""The watch itself: probes on a live run, for the steps that the budget allows."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import fields, replace
from functools import partial
from types import TracebackType
from typing import Any, Self, final

import torch
from torch import Tensor, nn

from fitwell import prescribe
from fitwell.anatomy import Recorder
from fitwell.errors import BadInput
from fitwell.interfaces import Probe, Reading
from fitwell.probes import (
    Activations,
    Gradients,
    Hook,
    Inputs,
    Layout,
    Losses,
    Updates,
    Weights,
    layout_of,
)
from fitwell.probes.loss_facts import chance_of, classes_of, has_noise, loss_name
from fitwell.records import Diagnosis, Facts, LayerFact, Quantity, Row, Trace
from fitwell.watch.budget import Budget
from fitwell.watch.ledger import Ledger
from fitwell.watch.names import split


@final
class Watch:
    """A run under watch; made by :func:`fitwell.watch.watch`.

    Layers carry hooks only during the forward pass of a sampled step, the network one light hook
    in a sampled step, the optimizer two. All are gone after the ``with``, whatever happened.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss_fn: Callable[..., Tensor] | None,
        *,
        overhead: float,
        every: int | None,
    ) -> None:
        self._model, self._optimizer = model, optimizer
        self._loss = loss_name(loss_fn)
        self._losses = Losses(loss_fn, model) if isinstance(loss_fn, nn.Module) else None
        self._start_budget = partial(Budget, overhead, every)
        self._budget = self._start_budget()
        self._ledger, self._by_hand = Ledger(), Ledger()
        self._described: dict[str, Any] = {}
        self._logged: set[tuple[Quantity, str]] = set()
        self._metric = ""
        self._step = self._epoch = 0
        self._layout: Layout | None = None
        self._layers: tuple[LayerFact, ...] = ()
        self._batch = 0
        self._whole_run = ExitStack()
        self._this_step = ExitStack()
        self._this_forward = ExitStack()
        self._probes: list[Probe] = []
        self._activations: Activations | None = None
        self._recorder: Recorder | None = None
        self._skipped: Tensor | None = None

    def __enter__(self) -> Self:
        self._budget = self._start_budget()
        if self._losses is not None:
            self._whole_run.enter_context(self._losses)
        before = self._optimizer.register_step_pre_hook(Hook(self._before_update))
        self._whole_run.callback(before.remove)
        after = self._optimizer.register_step_post_hook(Hook(self._after_update))
        self._whole_run.callback(after.remove)
        self._attach()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._this_forward.close()
        finally:
            self._detach()
            self._whole_run.close()
            self._take_losses()
            self._budget.end()

    def _attach(self) -> None:
        """Make the step that comes a sampled one."""
        inputs = Inputs(self._model)
        self._this_step.enter_context(inputs)
        entered = Hook(self._forward_begins)
        handle = self._model.register_forward_pre_hook(entered)
        self._this_step.callback(handle.remove)
        left = Hook(self._forward_ended)
        handle = self._model.register_forward_hook(left, prepend=True, always_call=True)
        self._this_step.callback(handle.remove)
        self._probes = [inputs]

    def _detach(self) -> None:
        self._this_step.close()
        self._probes = []

    def _spending(self) -> AbstractContextManager[None]:
        return self._budget.spending()

    def _forward_begins(self, module: nn.Module, args: object) -> None:
        if not torch.is_grad_enabled() or torch.compiler.is_compiling():
            return
        with self._budget.spending():
            if self._activations is None:
                self._activations = Activations(self._model, self._layout, spending=self._spending)
            if self._layout is None:
                self._recorder = Recorder(self._model)
                self._this_forward.enter_context(self._recorder)
            self._this_forward.enter_context(self._activations)

    def _forward_ended(self, module: nn.Module, args: object, output: object) -> None:
        with self._budget.spending():
            self._this_forward.close()
            if self._recorder is not None and self._layout is None and output is not None:
                anatomy = self._recorder.anatomy()
                self._layout, self._layers = layout_of(self._model, anatomy, self._optimizer)
                if self._activations is not None:
                    self._activations.layout = self._layout

    def _before_update(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if not self._probes:
            return
        with self._budget.spending():
            if self._layout is None:
                self._layout, self._layers = layout_of(self._model, None, optimizer)
            layout = self._layout
            self._probes += [
                Gradients(layout, optimizer),
                Weights(layout, spread=self._step == 0),
                Updates(layout),
            ]
            found_inf = getattr(optimizer, "found_inf", None)
            self._skipped = found_inf.clone() if isinstance(found_inf, Tensor) else None
            for probe in self._probes:
                if not (isinstance(probe, Gradients) and _closure(args, kwargs)):
                    probe.before_update()

    def _after_update(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        sampled = bool(self._probes)
        with self._budget.spending():
            if sampled:
                self._read(closure=_closure(args, kwargs))
            self._take_losses()
        self._budget.step_done(self._step, sampled=sampled)
        self._step += 1
        with self._budget.spending():
            if self._budget.allows(self._step):
                self._attach()

    def _read(self, *, closure: bool) -> None:
        """Collect what the probes of this step measured, and take them off."""
        found: list[Reading] = [
            Reading(Quantity.LEARNING_RATE, torch.as_tensor(self._optimizer.param_groups[0]["lr"]))
        ]
        for probe in self._probes:
            if closure and isinstance(probe, Gradients):
                probe.before_update()
            probe.after_update()
            found += probe.readings()
        if self._activations is not None:
            found += self._activations.readings()
        self._batch = max([self._batch, *(p.rows for p in self._probes if isinstance(p, Inputs))])
        self._ledger.add(self._step, found, epoch=self._epoch, skipped=self._skipped)
        self._detach()

    def _take_losses(self) -> None:
        if self._losses is None:
            return
        for reading in self._losses.readings():
            if reading.phase == "train":
                self._ledger.add(self._step, [reading], epoch=self._epoch)
            else:
                self._ledger.add(max(self._step - 1, 0), [reading], epoch=self._epoch)
                self._epoch += 1

    def log(
        self, *, step: int | None = None, epoch: int | None = None, **numbers: float | Tensor
    ) -> None:
        """Note losses and metrics that the loop has computed.

        What is logged takes the place of what the loss function showed for the same phase. Of
        several metrics the first one named counts.

        Args:
            step: Optimizer step that the numbers belong to; by default the last one.
            epoch: Epoch; by default the number of evaluations so far.
            numbers: ``train_loss``, ``val_loss``, and one metric as ``train_accuracy``,
                ``val_accuracy``; floats, or tensors of one element, which are not waited for.

        Raises:
            BadInput: If a name does not begin with ``train_`` or ``val_``.
        """
        at = max(self._step - 1, 0) if step is None else step
        for name, number in numbers.items():
            parts = split(name)
            if parts is None:
                raise BadInput(
                    f"Expected a name such as train_loss, val_loss or val_accuracy, got {name!r}."
                )
            phase, what = parts
            if what != "loss":
                self._metric = self._metric or what
                if what != self._metric:
                    continue
            quantity = Quantity.LOSS if what == "loss" else Quantity.METRIC
            self._logged.add((quantity, phase))
            value = torch.as_tensor(number).detach().reshape(()).clone()
            reading = Reading(quantity, value, phase=phase)
            self._by_hand.add(at, [reading], epoch=self._epoch if epoch is None else epoch)
        if any(name.startswith("val") for name in numbers):
            self._epoch += 1

    def describe(self, **facts: Any) -> None:
        """Tell what a watch cannot see: fields of :class:`fitwell.records.Facts`.

        Raises:
            BadInput: If a name is not a field of the facts.
        """
        known = [field.name for field in fields(Facts)]
        for name in facts:
            if name not in known:
                raise BadInput(f"Expected one of {', '.join(known)}, got {name!r}.")
        self._described.update(facts)

    @property
    def trace(self) -> Trace:
        """What was recorded so far, as plain numbers; reading it waits for the device."""
        rows = [r for r in self._ledger.rows() if (r.quantity, r.phase) not in self._logged]
        rows += self._by_hand.rows()
        broken = dict.fromkeys(
            (row.step, row.module)
            for row in rows
            if row.phase == "train" and not math.isfinite(row.value)
        )
        rows += [Row(step, Quantity.NON_FINITE, 1.0, module) for step, module in broken]
        rows.sort(key=lambda row: row.step)
        return Trace(rows, self._facts())

    def _facts(self) -> Facts:
        outputs = self._losses.outputs if self._losses else ()
        classes = classes_of(self._loss, outputs)
        read_by_hook = self._losses is not None and (Quantity.LOSS, "train") not in self._logged
        facts = Facts(
            layers=self._layers,
            loss=self._loss,
            metric=self._metric,
            higher_is_better=not self._metric.endswith(("loss", "error", "mse", "rmse", "mae")),
            optimizer=type(self._optimizer).__name__,
            batch_size=self._batch,
            classes=classes,
            noisy_training_loss=read_by_hook and has_noise(self._model),
        )
        facts = replace(facts, **self._described)
        if facts.chance_loss is None:
            facts = replace(facts, chance_loss=chance_of(facts.loss, facts.classes))
        return facts

    def diagnosis(self) -> Diagnosis:
        """Judge what was recorded so far; may be called during the run and after it."""
        return prescribe.diagnose(self.trace)

    @property
    def cost(self) -> float:
        """Share of the run's time that watching took so far, in [0, 1]."""
        return self._budget.share


def _closure(args: tuple[object, ...], kwargs: dict[str, object]) -> bool:
    """Whether a step was given a closure: gradients are then computed inside it."""
    given = [*args, *kwargs.values()]
    return any(callable(value) for value in given)
