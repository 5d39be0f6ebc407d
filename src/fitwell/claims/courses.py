"""The course of training as curves: the mean over the seeds, and the band that holds them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import TypeAlias

from fitwell.records import Curves
from fitwell.studies.training import Fitted

Row: TypeAlias = tuple[str, float, float, float, float]


def courses(
    arms: Mapping[str, Sequence[Fitted]], value: Callable[[Curves], Sequence[float]]
) -> tuple[Row, ...]:
    """Return rows of :class:`fitwell.records.Lines`: arm, epoch, mean, lowest and highest seed.

    Args:
        arms: The runs of every arm.
        value: What to draw of the curves of a run, one value an epoch.
    """
    rows: list[Row] = []
    for arm, of in arms.items():
        epochs = zip(*(value(fitted.run.curves) for fitted in of), strict=True)
        rows += [point(arm, epoch, values) for epoch, values in enumerate(epochs, 1)]
    return tuple(rows)


def point(curve: str, x: float, values: Sequence[float]) -> Row:
    """Return one row of :class:`fitwell.records.Lines`, of the values of all seeds at x."""
    return (curve, x, fmean(values), min(values), max(values))


def loss_gap(curves: Curves) -> tuple[float, ...]:
    """Return the validation loss less the training loss, epoch by epoch."""
    return tuple(v - t for v, t in zip(curves.validation_loss, curves.train_loss, strict=True))
