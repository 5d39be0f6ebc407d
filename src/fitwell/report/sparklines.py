"""Curves of a terminal in one line: blocks that rise, or signs where blocks cannot be written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import final

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from fitwell.records import Quantity, Row, RunRecord, Trace
from fitwell.report.grids import in_order
from fitwell.report.numbers import printable, quantity
from fitwell.report.series import Point, band
from fitwell.words import say

BLOCKS, SIGNS = "▁▂▃▄▅▆▇█", "_.:-=+*#"
"""Eight heights, for encodings that hold blocks and for those that do not."""
LABEL = 26
"""Most columns of a label."""


@final
@dataclass(frozen=True)
class Spark:
    """A curve in one line, with its name before and what it says behind.

    Args:
        name: What is drawn.
        values: The curve; not finite where there is a gap.
        said: Its numbers in words.
        log: Whether equal heights are equal factors.
    """

    name: str
    values: tuple[float, ...]
    said: str
    log: bool = False


@final
@dataclass(frozen=True)
class Sparks:
    """Curves under each other, their beginnings aligned."""

    lines: tuple[Spark, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        bars = BLOCKS if _holds(console.encoding, BLOCKS) else SIGNS
        table = Table.grid(padding=(0, 2), pad_edge=False)
        width = min(LABEL, max((cell_len(line.name) for line in self.lines), default=0))
        table.add_column(width=width, overflow="fold")
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for line in self.lines:
            values = [_logarithm(value) for value in line.values] if line.log else line.values
            table.add_row(
                Text(printable(line.name)), Text(sparkline(values, bars=bars)), Text(line.said)
            )
        yield table


def sparkline(values: Sequence[float], width: int = 16, *, bars: str = BLOCKS) -> str:
    """Return a curve as one line of signs, low to high; gaps where a value is not finite.

    Args:
        values: The curve; longer ones are thinned to ``width`` points, ends kept.
        width: Most characters used; at least 2.
        bars: The signs, from low to high.
    """
    if len(values) > width:
        last = len(values) - 1
        values = [values[round(place * last / (width - 1))] for place in range(width)]
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    scale = (len(bars) - 1) / (high - low) if high > low else 0.0
    return "".join(
        bars[round((value - low) * scale)] if math.isfinite(value) else " " for value in values
    )


def run_sparks(runs: Sequence[RunRecord]) -> list[Spark]:
    """Return the losses of the runs of one arm over the epochs, and the gap between them."""
    drawn = band(runs)
    curves = ((say("training loss"), drawn.train), (say("validation loss"), drawn.validation))
    lines = [_loss_spark(name, points) for name, points in curves if len(points) > 1]
    gap = [b.mean - a.mean for a, b in zip(drawn.train, drawn.validation, strict=False)]
    return [*lines, *_gap_spark(gap)]


def trace_sparks(trace: Trace) -> list[Spark]:
    """Return the gap over the evaluations and the gradient by layer of one run under watch."""
    return [*_gap_spark(_gaps(trace)), *gradient_sparks(trace)]


def gradient_sparks(trace: Trace) -> list[Spark]:
    """Return the size of the gradient by layer, from the input to the output."""
    names = trace.modules(Quantity.GRADIENT_NORM)
    layers = in_order(trace, dict.fromkeys(names))
    medians = tuple(_usual(trace.of(Quantity.GRADIENT_NORM, layer)) for layer in layers)
    shown = [value for value in medians if math.isfinite(value) and value > 0]
    if len(medians) < 2 or not shown:
        return []
    said = say(
        "{first} in the first layer, {last} in the last (log)",
        first=quantity(medians[0]),
        last=quantity(medians[-1]),
    )
    return [Spark(say("gradient by layer"), medians, said, log=True)]


def _gaps(trace: Trace) -> list[float]:
    """Validation loss minus the mean training loss since the evaluation before."""
    training = [row for row in trace.of(Quantity.LOSS) if math.isfinite(row.value)]
    found, begin = [], 0
    for row in trace.of(Quantity.LOSS, phase="validation"):
        end = begin
        while end < len(training) and training[end].step <= row.step:
            end += 1
        if end > begin:
            found.append(row.value - fmean(one.value for one in training[begin:end]))
        begin = end
    return found


def _usual(rows: Sequence[Row]) -> float:
    """Return the median of the finite values; not a number if there is none."""
    finite = [row.value for row in rows if math.isfinite(row.value)]
    return median(finite) if finite else math.nan


def _gap_spark(gap: Sequence[float]) -> list[Spark]:
    if len(gap) < 2:
        return []
    said = say("{first} to {last}", first=quantity(gap[0]), last=quantity(gap[-1]))
    return [Spark(say("gap of the two losses"), tuple(gap), said)]


def _loss_spark(name: str, points: Sequence[Point]) -> Spark:
    means = tuple(point.mean for point in points)
    best = min(points, key=lambda point: point.mean)
    said = say("{first} to {last}", first=quantity(means[0]), last=quantity(means[-1]))
    if best != points[-1]:
        said = say(
            "{span}, lowest {lowest} (epoch {epoch})",
            span=said,
            lowest=quantity(best.mean),
            epoch=best.epoch,
        )
    return Spark(name, means, said)


def _logarithm(value: float) -> float:
    return math.log10(value) if 0 < value < math.inf else math.nan


def _holds(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
