"""Numbers as people read them: shares as per cent, differences of shares as points."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable

from fitwell.records import Effect, RunRecord
from fitwell.words import say

SHARES = frozenset({"accuracy", "balanced_accuracy", "macro_f1"})
"""Metrics that are shares in [0, 1]; every other metric is shown in its own unit."""


def score(value: float, metric: str) -> str:
    """Return a score of a metric: ``"86.1 %"`` for a share, else its digits."""
    if metric in SHARES and abs(value) <= 1:
        return f"{100 * value:.1f} %"
    return quantity(value)


def change(value: float, metric: str, *, unit: bool = True) -> str:
    """Return a difference of scores with its sign: ``"+4.9 points"``, or ``"+0.123"``.

    A difference of shares that rounds to no tenth of a point is shown with two more digits, so
    that an interval that excludes zero never looks as if it touched it.
    """
    sign = "+" if value > 0 else ""
    if metric not in SHARES or not abs(value) <= 1:
        return f"{sign}{quantity(value)}"
    points = 100 * value
    digits = 0 if points == 0 else 1 if abs(points) >= 0.05 else 3
    text = f"{sign}{points:.{digits}f}"
    return say("{number} points", number=text) if unit else text


def interval(effect: Effect, metric: str, *, unit: bool = True) -> str:
    """Return the 95 % interval of an effect: ``"+4.4 to +5.4 points"``."""
    low = change(effect.low, metric, unit=False)
    return say("{low} to {high}", low=low, high=change(effect.high, metric, unit=unit))


def quantity(value: float) -> str:
    """Return a number of any size: three digits that matter, or an exponent."""
    if math.isnan(value):
        return say("not a number")
    if math.isinf(value):
        return say("infinite") if value > 0 else say("-infinite")
    size = abs(value)
    if size and not 1e-3 <= size < 1e6:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:,.0f}" if size >= 999.5 else f"{value:.3g}"


def p_value(p: float) -> str:
    """Return ``"p < 0.001"``, ``"p = 0.034"`` or ``"p = 0.72"``."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def duration(seconds: float) -> str:
    """Return a time: ``"0.4 s"``, ``"42 s"``, ``"2 min 5 s"``, ``"1 h 3 min"``."""
    if seconds < 10:
        return say("{seconds} s", seconds=f"{seconds:.1f}")
    whole = round(seconds)
    if whole < 60:
        return say("{seconds} s", seconds=whole)
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return (
            say("{minutes} min {seconds} s", minutes=minutes, seconds=rest)
            if rest
            else say("{minutes} min", minutes=minutes)
        )
    hours, minutes = divmod(minutes, 60)
    if minutes:
        return say("{hours} h {minutes} min", hours=hours, minutes=minutes)
    return say("{hours} h", hours=hours)


def mean(values: Iterable[float]) -> float:
    """Return the mean of the finite values; not a number if there is none."""
    finite = [value for value in values if math.isfinite(value)]
    return math.fsum(finite) / len(finite) if finite else math.nan


def scores_on_test(runs: Iterable[RunRecord]) -> list[float]:
    """Return the metric on test of the runs that were scored on it, in their order."""
    return [run.test.metric for run in runs if run.test is not None]


def printable(text: str) -> str:
    """Return a text with control characters spelled out: names must not steer a terminal."""
    return "".join(
        repr(char)[1:-1] if unicodedata.category(char) in {"Cc", "Cf", "Cs"} else char
        for char in text
    )
