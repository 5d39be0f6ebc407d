"""The watch itself: what a user holds while a run is watched, and asks afterwards."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace
from types import TracebackType
from typing import Any, Self, final

import torch
from torch import Tensor, nn

from fitwell import prescribe
from fitwell.errors import BadInput
from fitwell.interfaces import Reading
from fitwell.probes import Membership
from fitwell.probes.loss_facts import (
    chance_of,
    classes_of,
    expected_output,
    has_noise,
    loss_name,
)
from fitwell.records import NO_STEP, Diagnosis, Facts, Quantity, Row, Trace
from fitwell.watch.alarms import Alarms, Asked
from fitwell.watch.budget import Budget
from fitwell.watch.checkpoint import Checkpoint
from fitwell.watch.ledger import Ledger
from fitwell.watch.names import split
from fitwell.watch.run import Run, compiled_in_place, original
from fitwell.watch.sampler import Sampler

_NORMS = (Quantity.GRADIENT_NORM, Quantity.WEIGHT_NORM, Quantity.UPDATE_NORM)


@final
class Watch:
    """A run under watch; made by :func:`fitwell.watch.watch`.

    What it attaches to the run (:class:`fitwell.watch.sampler.Sampler`) is gone after the
    ``with``, whatever happened.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: tuple[torch.optim.Optimizer, ...],
        loss_fn: Callable[..., Tensor] | None,
        *,
        overhead: float,
        every: int | None,
        updates: bool = True,
        asked: Asked | None = None,
        dense: bool = False,
    ) -> None:
        self._loss = loss_name(loss_fn)
        self._budget = Budget(overhead, every, dense=dense)
        self._ledger, self._by_hand = Ledger(), Ledger()
        called, model = model, original(model)
        self._run = Run(model, optimizers, loss_fn, self._budget.spending)
        self._run.called = called if called is not model else None
        self._run.hears = not compiled_in_place(model)
        self._run.every_step, self._run.updates = self._budget.every_step, updates
        self._asked = asked or Asked()
        self._alarms: Alarms | None = None
        if self._asked.anything:
            kept = Checkpoint(model, optimizers, self._asked.checkpoint)
            self._alarms = Alarms(self.diagnosis, overhead, asked=self._asked, checkpoint=kept)
        self._sampler = Sampler(self._run, self._budget, self._ledger, self._alarms)
        self._membership = Membership(model, optimizers)
        self._described: dict[str, Any] = {}
        self._logged: set[tuple[Quantity, str]] = set()
        self._metric = ""
        self._entered = 0

    def __enter__(self) -> Self:
        self._entered += 1
        if self._entered == 1:
            self._budget.begin()
            if self._alarms is not None:
                self._alarms.begin()
            self._sampler.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered -= 1
        if self._entered == 0:
            self._sampler.stop()
            self._budget.end()
            if kind is None and self._alarms is not None:
                self._alarms.end()

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
            BadInput: If a name does not begin with ``train_`` or ``val_``, or what is given for it
                is not one number.
        """
        at = self._run.clock.last_step if step is None else step
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
            reading = Reading(quantity, _one_number(name, number), phase=phase)
            self._by_hand.add(
                at, [reading], epoch=self._run.clock.epoch if epoch is None else epoch
            )
        if any(name.startswith("val") for name in numbers):
            self._run.clock.epoch += 1

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
        self._sampler.take_standing()
        rows = [r for r in self._ledger.rows() if (r.quantity, r.phase) not in self._logged]
        if len(self._run.optimizers) > 1:
            rows = _summed(rows)
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
        run = self._run
        read_by_hook = isinstance(run.loss_fn, nn.Module)
        compared = not read_by_hook or (Quantity.LOSS, "train") in self._logged
        facts = Facts(
            layers=run.layers,
            loss=self._loss,
            metric=self._metric,
            higher_is_better=not self._metric.endswith(("loss", "error", "mse", "rmse", "mae")),
            optimizer=type(run.optimizers[0]).__name__,
            noisy_training_loss=not compared and has_noise(run.model),
            loss_expects=expected_output(run.loss_fn),
            **self._membership.facts(),
        )
        facts = replace(facts, **run.learned)
        if not facts.classes:
            facts = replace(facts, classes=classes_of(self._loss, facts.output_shape))
        facts = replace(facts, **self._described)
        if facts.chance_loss is None:
            facts = replace(facts, chance_loss=chance_of(facts.loss, facts.classes))
        return facts

    def diagnosis(self) -> Diagnosis:
        """Judge what was recorded so far; may be called during the run and after it.

        Where no step was seen that stands first among what could not be judged: nothing found
        then does not mean that all is well.
        """
        found = prescribe.diagnose(self.trace, mute=self._asked.mute)
        if self._run.clock.step:
            return found
        return replace(found, unjudged=(NO_STEP, *found.unjudged))

    @property
    def cost(self) -> float:
        """Share of the run's time that watching took so far, in [0, 1]."""
        return self._budget.share


def _one_number(name: str, number: object) -> Tensor:
    """Return a number as a tensor of its own, without waiting for the device."""
    try:
        return torch.as_tensor(number).detach().reshape(()).clone()
    except (TypeError, ValueError, RuntimeError) as error:
        given = number
        if isinstance(number, Tensor):
            given = f"a tensor of shape {tuple(number.shape)}"
        raise BadInput(f"Expected one number for {name}, got {given}.") from error


def _summed(rows: list[Row]) -> list[Row]:
    """Make one norm of those over the parameters of each of several optimizers in a step."""
    found: dict[tuple[int, Quantity], int] = {}
    kept: list[Row] = []
    for row in rows:
        key = row.step, row.quantity
        if row.module or row.quantity not in _NORMS:
            kept.append(row)
        elif key in found:
            whole = kept[found[key]]
            kept[found[key]] = replace(whole, value=math.hypot(whole.value, row.value))
        else:
            found[key] = len(kept)
            kept.append(row)
    return kept
