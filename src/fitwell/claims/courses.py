"""The course of training as curves: the mean over the seeds, and the band that holds them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any, TypeAlias

from fitwell.claims.training import test_accuracies
from fitwell.records import Curves, Lines
from fitwell.studies.training import Fitted
from fitwell.words import say

GAP = say("gap of the loss after the last epoch")
TEST = say("accuracy on test rows")
SEEN, UNSEEN = say("rows it learned from"), say("rows it never saw")

Runs: TypeAlias = dict[str, Sequence[Fitted]]
"""Runs of every arm."""
Values: TypeAlias = dict[str, tuple[float, ...]]
"""One value a seed, of every arm."""
Scores: TypeAlias = dict[str, Values]
"""Measure -> arm -> one value a seed."""
Row: TypeAlias = tuple[str, float, float, float, float]
Value: TypeAlias = Callable[[Curves], Sequence[float]]
"""What to read of the curves of a run, one value an epoch."""


def courses(arms: Mapping[Any, Sequence[Fitted]], value: Value) -> tuple[Row, ...]:
    """Return rows of :class:`fitwell.records.Lines`: arm, epoch, mean, lowest and highest seed.

    Args:
        arms: The runs of every arm.
        value: What to draw.
    """
    rows: list[Row] = []
    for arm, of in arms.items():
        epochs = zip(*(value(fitted.run.curves) for fitted in of), strict=True)
        rows += [point(arm, epoch, values) for epoch, values in enumerate(epochs, 1)]
    return tuple(rows)


def gaps(arms: Mapping[Any, Sequence[Fitted]]) -> Lines:
    """Return the picture of the gap of the loss in every arm, epoch by epoch."""
    rows = courses(arms, loss_gap)
    return Lines(say("The gap, epoch by epoch"), say("epoch"), say("gap of the loss"), rows)


def point(curve: str, x: float, values: Sequence[float]) -> Row:
    """Return one row of :class:`fitwell.records.Lines`, of the values of all seeds at x."""
    return (curve, x, fmean(values), min(values), max(values))


def finals(arms: Mapping[Any, Sequence[Fitted]], value: Value) -> dict[str, tuple[float, ...]]:
    """Return what was read after the last epoch, of every arm one value a seed."""
    return {arm: tuple(value(one.run.curves)[-1] for one in of) for arm, of in arms.items()}


def tested(arms: Mapping[Any, Sequence[Fitted]]) -> dict[str, tuple[float, ...]]:
    """Return the metric on the test rows at the kept epoch, of every arm one value a seed."""
    return {arm: test_accuracies(of) for arm, of in arms.items()}


def both_losses(arms: Mapping[Any, Sequence[Fitted]], at: Mapping[Any, float]) -> tuple[Row, ...]:
    """Return rows of :class:`fitwell.records.Lines`: the last losses on seen and unseen rows.

    Args:
        arms: The runs of every arm.
        at: Where each arm stands on the axis.
    """
    seen = finals(arms, lambda curves: curves.train_loss)
    unseen = finals(arms, lambda curves: curves.validation_loss)
    return tuple(
        point(side, at[arm], losses[arm])
        for side, losses in ((SEEN, seen), (UNSEEN, unseen))
        for arm in arms
    )


def loss_gap(curves: Curves) -> tuple[float, ...]:
    """Return the validation loss less the training loss, epoch by epoch."""
    return tuple(v - t for v, t in zip(curves.validation_loss, curves.train_loss, strict=True))


def learning(arms: Mapping[Any, Sequence[Fitted]]) -> Lines:
    """Return the picture of the accuracy on validation rows in every arm, epoch by epoch."""
    rows = courses(arms, lambda curves: curves.validation_metric)
    return Lines(
        say("Learning, epoch by epoch"), say("epoch"), say("accuracy on held-out rows"), rows
    )


def by_setting(title: str, x: str, rows: Sequence[Row]) -> Lines:
    """Return the picture of the accuracy on test rows at settings whose axis is logarithmic."""
    return Lines(title, x, TEST, tuple(rows), log_x=True)
