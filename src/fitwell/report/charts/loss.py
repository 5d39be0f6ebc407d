"""Training and validation loss over the epochs, with the gap between them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from fitwell.errors import require
from fitwell.records import ArmRecord, TaskRecord
from fitwell.report.charts.figure import Data, Figure, Panel, Spec
from fitwell.report.charts.vega import drawable, drawn, sized, tips
from fitwell.report.numbers import quantity
from fitwell.report.series import Band, band
from fitwell.report.wording import arm_title
from fitwell.words import say, say_many

MAX_PEAK = 30.0
"""Largest loss, as a multiple of the median validation loss, that a linear scale can show."""
MOST_ARMS = 8
"""More drawings than these are slow to open, and nobody compares them."""


def loss_figure(task: TaskRecord, arms: Sequence[ArmRecord]) -> Figure | None:
    """Draw training and validation loss of each arm over the epochs; None without curves."""
    bands = [(arm_title(arm.name), band(arm.runs)) for arm in _most_telling(arms)]
    bands = [(name, found) for name, found in bands if found.train and found.validation]
    if not bands:
        return None
    scale = _loss_scale([found for _, found in bands])
    panels = tuple(
        Panel(
            say("{arm}: {what}", arm=name, what=_gap_text(found)),
            _loss_panel(name, found, task, scale),
        )
        for name, found in bands
    )
    caption: str = say(
        "How to read it: each line is the mean over the seeds and the band around it their range. "
        "The grey area is the gap between the loss on the training rows and on the validation "
        "rows; a gap that keeps growing is overfitting. The dashed line marks the epoch whose "
        "weights were kept."
    )
    if scale["type"] == "log":
        caption += " " + say("The loss is on a logarithmic scale.")
    if len(arms) > MOST_ARMS:
        caption += " " + say(
            "Drawn are the untreated arm and the {drawn} of {all} others whose score on test "
            "differs most from it.",
            drawn=MOST_ARMS - 1,
            all=len(arms) - 1,
        )
    return Figure(
        say("Loss over the epochs"),
        panels,
        caption,
        " ".join(_loss_words(name, found) for name, found in bands),
        Data(
            (say("arm"), say("epoch"), say("training loss"), say("validation loss")),
            tuple(row for name, found in bands for row in _loss_rows(name, found)),
        ),
    )


def _most_telling(arms: Sequence[ArmRecord]) -> list[ArmRecord]:
    """Return the first arm and those with the largest effects, in their order."""
    effects = [abs(arm.verdict.effect.mean) if arm.verdict else math.inf for arm in arms]
    chosen = sorted(range(len(arms)), key=lambda place: -effects[place])[:MOST_ARMS]
    return [arms[place] for place in sorted(chosen)]


def _loss_panel(arm: str, found: Band, task: TaskRecord, scale: Mapping[str, Any]) -> Spec:
    alt = require("altair")
    names = [str(say("training")), str(say("validation"))]
    rows: list[Mapping[str, Any]] = [
        {"arm": arm, "curve": name, "epoch": p.epoch, "loss": p.mean, "low": p.low, "high": p.high}
        for name, points in zip(names, (found.train, found.validation), strict=True)
        for p in points
    ]
    gap: list[Mapping[str, Any]] = [
        {"epoch": a.epoch, "loss": a.mean, "other": b.mean}
        for a, b in zip(found.train, found.validation, strict=False)
    ]
    x = alt.X("epoch:Q", title=say("epoch"), axis=alt.Axis(tickMinStep=1, tickCount=6, grid=False))
    y = alt.Y(
        "loss:Q",
        title=say("loss ({loss})", loss=task.loss.replace("_", " ")),
        scale=alt.Scale(**scale),
        axis=alt.Axis(tickCount=5, format="~e" if scale["type"] == "log" else "~g"),
    )
    colour = alt.Color("curve:N", title=None, scale=alt.Scale(domain=names))
    base = alt.Chart(drawn(rows)).encode(x=x, color=colour)
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
    if found.kept is not None:
        kept = alt.Chart(alt.Data(values=[{"epoch": found.kept}]))
        layers.append(kept.mark_rule(style="kept").encode(x=x))
    return sized(alt.layer(*layers), 240)


def _loss_scale(bands: Sequence[Band]) -> dict[str, Any]:
    """One scale for all panels; logarithmic where a peak would flatten the validation curves.

    A training loss that goes to zero is no reason: on a logarithmic scale it would fill the panel.
    """
    points = [point for found in bands for point in (*found.train, *found.validation)]
    low, high = min(point.low for point in points), max(point.high for point in points)
    usual = median(point.mean for found in bands for point in found.validation)
    if low > 0 and high > MAX_PEAK * usual:
        return {"type": "log", "domain": [max(low, high * 1e-12), high]}
    return {"type": "linear", "domain": [min(0.0, low), high], "nice": True}


def _gap_text(found: Band) -> str:
    if found.gap is None:
        text = say("no gap measured")
    else:
        text = say("gap at the end {gap}", gap=quantity(found.gap))
    if not found.diverged:
        return text
    return say(
        "{gap}, {diverged} of {runs} runs diverged",
        gap=text,
        diverged=found.diverged,
        runs=found.runs,
    )


def _loss_words(name: str, found: Band) -> str:
    train, validation = found.train, found.validation
    return say(
        "{arm}: training loss goes from {train_first} to {train_last}, validation loss from "
        "{validation_first} to {validation_last} over {epochs}.",
        arm=name,
        train_first=quantity(train[0].mean),
        train_last=quantity(train[-1].mean),
        validation_first=quantity(validation[0].mean),
        validation_last=quantity(validation[-1].mean),
        epochs=say_many("{number} epoch", "{number} epochs", train[-1].epoch),
    )


def _loss_rows(name: str, found: Band) -> list[tuple[str, ...]]:
    train = {point.epoch: point.mean for point in found.train}
    validation = {point.epoch: point.mean for point in found.validation}
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
