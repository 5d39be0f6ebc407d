"""Training and validation loss over the epochs, with the gap between them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from fitwell.errors import require
from fitwell.records import ArmRecord, TaskRecord
from fitwell.report.charts.figure import Data, Figure, Panel, Spec
from fitwell.report.charts.vega import drawable, sized, tips
from fitwell.report.numbers import count, quantity
from fitwell.report.series import Band, band

MAX_PEAK = 30.0
"""Largest loss, as a multiple of the median validation loss, that a linear scale can show."""


def loss_figure(task: TaskRecord, arms: Sequence[ArmRecord]) -> Figure | None:
    """Draw training and validation loss of each arm over the epochs; None without curves."""
    bands = [(arm.name, band(arm.runs)) for arm in arms]
    bands = [(name, drawn) for name, drawn in bands if drawn.train and drawn.validation]
    if not bands:
        return None
    scale = _loss_scale([drawn for _, drawn in bands])
    panels = tuple(
        Panel(f"{name}: {_gap_text(drawn)}", _loss_panel(drawn, task, scale))
        for name, drawn in bands
    )
    caption = (
        "How to read it: each line is the mean over the seeds and the band around it their range. "
        "The grey area is the gap between the loss on the training rows and on the validation "
        "rows; a gap that keeps growing is overfitting. The dashed line marks the epoch whose "
        "weights were kept."
    )
    if scale["type"] == "log":
        caption += " The loss is on a logarithmic scale."
    return Figure(
        "Loss over the epochs",
        panels,
        caption,
        " ".join(_loss_words(name, drawn) for name, drawn in bands),
        Data(
            ("arm", "epoch", "training loss", "validation loss"),
            tuple(row for name, drawn in bands for row in _loss_rows(name, drawn)),
        ),
    )


def _loss_panel(drawn: Band, task: TaskRecord, scale: Mapping[str, Any]) -> Spec:
    alt = require("altair")
    curves = (("training", drawn.train), ("validation", drawn.validation))
    rows: list[Mapping[str, Any]] = [
        {"curve": name, "epoch": p.epoch, "loss": p.mean, "low": p.low, "high": p.high}
        for name, points in curves
        for p in points
    ]
    gap: list[Mapping[str, Any]] = [
        {"epoch": a.epoch, "loss": a.mean, "other": b.mean}
        for a, b in zip(drawn.train, drawn.validation, strict=False)
    ]
    x = alt.X("epoch:Q", title="epoch", axis=alt.Axis(tickMinStep=1, tickCount=6, grid=False))
    y = alt.Y(
        "loss:Q",
        title=f"loss ({task.loss.replace('_', ' ')})",
        scale=alt.Scale(**scale),
        axis=alt.Axis(tickCount=5, format="~e" if scale["type"] == "log" else "~g"),
    )
    colour = alt.Color("curve:N", title=None, scale=alt.Scale(domain=["training", "validation"]))
    base = alt.Chart(alt.Data(values=drawable(rows))).encode(x=x, color=colour)
    layers = [
        alt.Chart(alt.Data(values=drawable(gap)))
        .mark_area(style="gap", clip=True)
        .encode(x=x, y=y, y2="other:Q"),
        base.mark_area(style="band", clip=True).encode(
            y=alt.Y("low:Q", scale=alt.Scale(**scale)), y2="high:Q"
        ),
        base.mark_line(style="curve", clip=True).encode(
            y=y, tooltip=tips(alt, "curve", "epoch", "loss", "low", "high")
        ),
    ]
    if drawn.kept is not None:
        kept = alt.Chart(alt.Data(values=[{"epoch": drawn.kept}]))
        layers.append(kept.mark_rule(style="kept").encode(x=x))
    return sized(alt.layer(*layers), 240)


def _loss_scale(bands: Sequence[Band]) -> dict[str, Any]:
    """One scale for all panels; logarithmic where a peak would flatten the validation curves.

    A training loss that goes to zero is no reason: on a logarithmic scale it would fill the panel.
    """
    points = [point for drawn in bands for point in (*drawn.train, *drawn.validation)]
    low, high = min(point.low for point in points), max(point.high for point in points)
    usual = median(point.mean for drawn in bands for point in drawn.validation)
    if low > 0 and high > MAX_PEAK * usual:
        return {"type": "log", "domain": [max(low, high * 1e-12), high]}
    return {"type": "linear", "domain": [min(0.0, low), high], "nice": True}


def _gap_text(drawn: Band) -> str:
    text = f"gap at the end {quantity(drawn.gap)}" if drawn.gap is not None else "no gap measured"
    lost = f", {drawn.diverged} of {drawn.runs} runs diverged" if drawn.diverged else ""
    return text + lost


def _loss_words(name: str, drawn: Band) -> str:
    train, validation = drawn.train, drawn.validation
    return (
        f"{name}: training loss goes from {quantity(train[0].mean)} to "
        f"{quantity(train[-1].mean)}, validation loss from {quantity(validation[0].mean)} to "
        f"{quantity(validation[-1].mean)} over {count(train[-1].epoch, 'epoch')}."
    )


def _loss_rows(name: str, drawn: Band) -> list[tuple[str, ...]]:
    train = {point.epoch: point.mean for point in drawn.train}
    validation = {point.epoch: point.mean for point in drawn.validation}
    epochs = sorted(train | validation)
    stride = max(1, math.ceil(len(epochs) / 20))
    return [
        (
            name,
            str(epoch),
            quantity(train.get(epoch, math.nan)),
            quantity(validation.get(epoch, math.nan)),
        )
        for epoch in epochs[::stride]
    ]
