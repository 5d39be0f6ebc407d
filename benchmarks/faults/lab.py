"""What a program is given: the watch, and the places where a treatment can act."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn

import fitwell
from fitwell.records import Trace

EVERY = 10
"""A step in so many is sampled after the first 21: about what the default budget affords on
networks of this size, without a clock, so that a run gives the same trace each time."""


class Treatment(Protocol):
    """A recipe at work in somebody's program."""

    def prepare(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss_fn: nn.Module,
        example: Tensor,
    ) -> tuple[nn.Module, torch.optim.Optimizer, nn.Module]:
        """Return the treated model, its optimizer and loss."""
        ...

    def batch(self, x: Tensor, y: Any) -> tuple[Tensor, Any]:
        """Return the batch to train on."""
        ...

    def should_stop(self, val_loss: float) -> bool:
        """Say whether training shall end."""
        ...

    def finish(self) -> nn.Module:
        """Return the model whose outcome counts."""
        ...


@final
class Lab:
    """One run of a program.

    Args:
        seed: Seed of weights, data and batches.
        watched: Whether the run is recorded.
        treatment: What is done to it, where a remedy is tried.
        by_budget: Whether a clock says what is read, as in a user's run, and not a fixed stride.
    """

    def __init__(
        self,
        seed: int,
        *,
        watched: bool = True,
        treatment: Treatment | None = None,
        by_budget: bool = False,
    ) -> None:
        self._by_budget = by_budget
        self.seed = seed
        self.trace: Trace | None = None
        self._watched, self._treatment = watched, treatment

    def prepare(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss_fn: nn.Module,
        example: Tensor,
    ) -> tuple[Any, Any, Any]:
        """Hand over what the program has made, and take what it trains: treated or the same."""
        if self._treatment is None:
            return model, optimizer, loss_fn
        return self._treatment.prepare(model, optimizer, loss_fn, example)

    def batch(self, x: Tensor, y: Any) -> tuple[Tensor, Any]:
        """Return the batch to train on: treated or the same."""
        return (x, y) if self._treatment is None else self._treatment.batch(x, y)

    def should_stop(self, val_loss: float) -> bool:
        """Say whether a treatment ends the training."""
        return self._treatment is not None and self._treatment.should_stop(val_loss)

    def finished(self, model: nn.Module) -> nn.Module:
        """Return the model to measure: treated or the same."""
        return model if self._treatment is None else self._treatment.finish()

    @contextmanager
    def watch(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        loss_fn: Any = None,
        *,
        every: int = EVERY,
    ) -> Iterator[Any]:
        """Watch the run; the trace is kept whatever happens."""
        if not self._watched:
            yield _Unwatched()
            return
        stride = None if self._by_budget else every
        watch = fitwell.watch(model, optimizer, loss_fn, every=stride)
        try:
            with watch:
                yield watch
        finally:
            self.trace = watch.trace


@final
class _Unwatched:
    """Takes what a loop logs, and keeps nothing."""

    def log(self, **numbers: Any) -> None:
        """Ignore it."""

    def describe(self, **facts: Any) -> None:
        """Ignore it."""
