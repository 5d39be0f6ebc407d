"""A treated model, and what a training loop needs so that the recipe acts."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ConstantLR, LambdaLR, LRScheduler

from fitwell import surgery
from fitwell.errors import BadInput
from fitwell.recipe import printed
from fitwell.recipe.changes import Changes
from fitwell.recipe.effects import Tally, sentences
from fitwell.recipe.hooks import Step
from fitwell.recipe.inputs import unused_inputs
from fitwell.recipe.range_test import RangeTest, range_test
from fitwell.recipe.treated_loss import TreatedLoss
from fitwell.records import Anatomy

if TYPE_CHECKING:
    from fitwell.recipe.recipe import Recipe

_PATIENCE = 200
"""Calls of one seam after which another that was never called is warned about."""


@final
class Treated:
    """The treated copy of a model; made by :meth:`fitwell.Recipe.apply`.

    ``model`` is an ordinary network without hooks; it holds nothing of fitwell but, for some
    remedies, modules of :mod:`fitwell.modules`, which are plain torch. ``changes`` says what was
    done to it. The methods fit the rest of the recipe to a training loop of one's own; what the
    recipe does not need changes nothing and may be left out::

        optimizer = treated.optimizer(torch.optim.Adam, lr=1e-3)
        scheduler = treated.scheduler(optimizer)
        loss_fn = treated.loss(torch.nn.functional.cross_entropy)
        for epoch in range(epochs):
            for x, y in batches:
                x, y = treated.batch(x, y)
                optimizer.zero_grad()
                loss_fn(treated.model(x), y).backward()
                optimizer.step()
                scheduler.step()
            with treated.averaged():
                val_loss = evaluate(treated.model)
            if treated.should_stop(val_loss=val_loss):
                break
        treated.finish()

    Args:
        recipe: What was applied.
        model: The treated copy.
        changes: What was done to it.
        anatomy: What the treated copy is made of; empty if unknown.
        seed: Seed of what is random in the batches.
    """

    def __init__(
        self, recipe: Recipe, model: nn.Module, changes: Changes, anatomy: Anatomy, *, seed: int
    ) -> None:
        self.recipe = recipe
        self.model = model
        self.changes = changes
        self.anatomy = anatomy
        self.seed = seed
        self._generators: dict[torch.device, Generator] = {}
        self._steps: list[Step] = []
        self._tally = Tally()
        self._best: dict[str, Tensor] | None = None
        self._showing = False
        self._warned = False

    def optimizer(self, factory: Callable[..., Optimizer], **options: Any) -> Optimizer:
        """Return an optimizer in whose step the recipe acts; there may be several.

        Norms are taken over the parameters of the optimizer at hand, and what is known from step
        to step is known of each by itself. Where gradients are accumulated or scaled, the recipe
        acts on what the step is made with.

        Args:
            factory: Called with the parameters, as ``torch.optim.Adam`` or a function that makes
                parameter groups of them, or an optimizer of some of them.
            options: Handed on to the factory.

        Raises:
            BadInput: If the optimizer holds no parameter of the treated model.
        """
        optimizer = factory(self.model.parameters(), **options)
        step = Step(self.recipe, self.model, self._tally, notice=self._notice)
        step.attach(optimizer)
        if not step.holds:
            raise BadInput(
                "The optimizer holds no parameter of the treated model, and would train another: "
                "make it of the parameters that the factory is given, or of treated.model."
            )
        # An optimizer that takes over from an earlier one begins anew.
        self._steps = [earlier for earlier in self._steps if not earlier.holds <= step.holds]
        step.averages_buffers = not self._steps
        self._steps.append(step)
        return optimizer

    def loss(self, loss_fn: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
        """Return the loss to train on: as given where gradients are disabled.

        It accepts the targets that :meth:`batch` returns.
        """
        if not self.recipe.needs("on_loss") and not self.recipe.mixes:
            return loss_fn
        return TreatedLoss(self.recipe.on_loss, loss_fn, self._count_loss)

    def batch(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return the batch to train on; the same objects where there is nothing to do."""
        if not self.recipe.needs("on_batch"):
            return x, y
        self._tally.batches += 1
        self._notice(self._tally.batches)
        device = x.device if isinstance(x, Tensor) else torch.device("cpu")
        if device not in self._generators:
            self._generators[device] = Generator(device).manual_seed(self.seed)
        with torch.no_grad():
            return self.recipe.on_batch(x, y, self._generators[device])

    def scheduler(self, optimizer: Optimizer) -> LRScheduler:
        """Return the schedule of the learning rate: call its ``step()`` after every optimizer step.

        The rates are multiples of those that the optimizer has now. Without a remedy that changes
        them they stay constant.
        """
        if not self.recipe.needs("rate_factor"):
            return ConstantLR(optimizer, factor=1.0, total_iters=1)
        return LambdaLR(optimizer, self._rate_factor)

    def _rate_factor(self, step: int) -> float:
        self._tally.rate_steps = max(self._tally.rate_steps, step)
        return self.recipe.rate_factor(step)

    @contextmanager
    def averaged(self) -> Iterator[nn.Module]:
        """Show the averaged weights in the model, to evaluate or save it; then its own are back.

        Without a remedy that averages, or before it has begun, the model stays as it is. Do not
        train inside.
        """
        averages = {} if self._showing else self._averages()
        if not averages:
            yield self.model
            return
        self._tally.averaged += 1
        self._showing = True
        try:
            with printed.shown(self.model, averages):
                yield self.model
        finally:
            self._showing = False

    def _averages(self) -> dict[str, Tensor]:
        return {name: value for step in self._steps for name, value in step.averages.items()}

    def should_stop(self, *, val_loss: float | Tensor) -> bool:
        """Note the validation loss of an epoch, and say whether training shall end.

        The weights with the lowest loss so far, averaged ones if the recipe averages, are kept for
        :meth:`finish`, if the recipe stops.
        """
        if not self.recipe.needs("should_stop"):
            return False
        loss = float(val_loss)
        earlier = (known for known in self._tally.validations if known == known)
        if loss < min(earlier, default=float("inf")):
            with self.averaged():
                state = self.model.state_dict()
                self._best = {key: tensor.detach().clone() for key, tensor in state.items()}
        self._tally.validations.append(loss)
        return self.recipe.should_stop(self._tally.validations)

    def finish(self) -> None:
        """Put the best weights seen by :meth:`should_stop`, or the averaged ones, into the model.

        Where the recipe neither stops nor averages, the model stays as it is.
        """
        self._tally.finished += 1
        self._warn()
        if self._best is not None:
            self.model.load_state_dict(self._best)
        elif averages := self._averages():
            self._tally.averaged += 1
            printed.show(self.model, averages)

    def unused(self) -> tuple[str, ...]:
        """Return the methods that the recipe needs and the loop never used."""
        tally = self._tally
        used = {
            "batch": (tally.batches, ("on_batch",)),
            "loss": (tally.losses, ("on_loss",)),
            "optimizer": (tally.steps, ("on_gradients", "after_update", "average")),
            "scheduler": (tally.rate_steps, ("rate_factor",)),
            "should_stop": (len(tally.validations), ("should_stop",)),
            "finish": (tally.finished, ("average", "should_stop")),
        }
        return tuple(
            method
            for method, (count, seams) in used.items()
            if not count and (any(map(self.recipe.needs, seams)) or self._mixes_in(method))
        )

    def _mixes_in(self, method: str) -> bool:
        return method == "loss" and self.recipe.mixes

    def unused_inputs(self) -> tuple[int, ...]:
        """Return the numbers of the input features that the network certainly no longer uses.

        Those are the ones that only weights of exactly zero read, as L1 leaves them; see
        :func:`fitwell.recipe.inputs.unused_inputs`.
        """
        return unused_inputs(self.model, self.anatomy)

    def range_test(
        self,
        batches: Iterable[tuple[Any, Any]],
        loss_fn: Callable[[Any, Any], Tensor],
        factory: Callable[..., Optimizer],
        *,
        low: float = 1e-7,
        high: float = 10.0,
        steps: int = 100,
    ) -> RangeTest:
        """Train a copy at a rising learning rate, and suggest where the loss falls fastest.

        The rate goes up by the same factor from step to step, the recipe acts as in training, and
        the test ends early when the loss explodes. Model, random state and counts of this object
        stay as they are.

        Args:
            batches: Batches of inputs and targets, as a list or a data loader; gone through as
                often as needed.
            loss_fn: The plain loss.
            factory: As for :meth:`optimizer`; must work without a learning rate, as
                ``functools.partial(torch.optim.SGD, momentum=0.9)`` does, and step without a
                closure.
            low: First rate, in (0, high).
            high: Last rate, at most 1e6.
            steps: Number of rates, at least 2.

        Raises:
            ThresholdError: If an argument is out of range.
            BadInput: If there is no batch, or no loss is finite.

        References:
            Smith, "Cyclical Learning Rates for Training Neural Networks", 2017, arXiv:1506.01186.
        """
        devices = sorted({p.device.index or 0 for p in self.model.parameters() if p.is_cuda})
        with torch.random.fork_rng(devices=devices), torch.enable_grad():
            twin = Treated(
                self.recipe, deepcopy(self.model), self.changes, self.anatomy, seed=self.seed
            )
            twin._warned = True
            return range_test(twin, batches, loss_fn, factory, low=low, high=high, steps=steps)

    def load_original(self, state_dict: Mapping[str, Tensor]) -> None:
        """Load weights of the untreated model; what the recipe added keeps its values.

        Raises:
            BadInput: If a weight has no place, or another shape, in the treated model.
        """
        own = self.model.state_dict()
        plain = {key.replace(f"{surgery.COMPILED}.", ""): v for key, v in state_dict.items()}
        renamed = {self.changes.keys.get(key, key): value for key, value in plain.items()}
        wrong = [k for k, v in renamed.items() if k not in own or own[k].shape != v.shape]
        if wrong:
            raise BadInput(
                "The weights do not fit the treated model: the recipe has changed their shape or "
                f"left them out.\n  {', '.join(wrong)}"
            )
        self.model.load_state_dict({**own, **renamed})

    def effects(self) -> tuple[str, ...]:
        """Say of each remedy what it was seen to do, as ``"ClipNorm fired in 12 of 40 steps"``."""
        return sentences(self.recipe, self.model, self.changes, self._tally, self.anatomy)

    def _count_loss(self) -> None:
        self._tally.losses += 1
        self._notice(self._tally.losses)

    def _notice(self, count: int) -> None:
        if count == _PATIENCE:
            self._warn(besides=("should_stop", "finish"))

    def _warn(self, *, besides: Collection[str] = ()) -> None:
        """Warn once of what the loop never used, besides what comes at the end of an epoch."""
        unused = [name for name in self.unused() if name not in besides]
        if unused and not self._warned:
            self._warned = True
            calls = ", ".join(f"treated.{name}()" for name in unused)
            warnings.warn(
                f"The recipe {self.recipe} acts only in part: the loop never used {calls}.",
                stacklevel=3,
            )
