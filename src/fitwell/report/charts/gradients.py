"""Size of the gradient by layer and step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fitwell.errors import require
from fitwell.records import Trace, some_of
from fitwell.report.charts.figure import Data, Figure, Panel, Spec
from fitwell.report.charts.vega import drawable, sized, tips
from fitwell.report.numbers import count, quantity
from fitwell.report.series import Grid, gradient_grid


def gradient_figure(trace: Trace) -> Figure | None:
    """Draw gradient size by layer and step on a log scale; None where none was recorded."""
    grid = gradient_grid(trace)
    if not grid.cells:
        return None
    shown = [cell.value for cell in grid.cells if cell.state == "positive"]
    span = f"from {quantity(min(shown))} to {quantity(max(shown))}" if shown else "never above 0"
    lost = [cell for cell in grid.cells if cell.state == "not finite"]
    words = f"Gradient norms of {count(len(grid.layers), 'layer')} run {span}."
    if lost:
        names = tuple(dict.fromkeys(cell.layer for cell in lost))
        words += f" Values that are not finite were seen in {some_of(names)}."
    return Figure(
        "Size of the gradient by layer and step",
        (Panel("the untreated network", _gradient_panel(grid)),),
        "How to read it: the input is at the top, the output at the bottom, time runs to the "
        "right. The brighter, the larger the norm of the gradient that a layer's weights receive; "
        "every step of the colour scale is a constant factor. A column that darkens towards "
        "the top shows a gradient that vanishes on its way back, one that brightens a gradient "
        "that explodes. Columns are sampled steps, often densest at the start; where several share "
        "one, the largest is shown. Red is a value that is not finite, grey a gradient of exactly "
        "zero.",
        words,
        Data(
            ("layer", "first column", "last column", "smallest", "largest"),
            tuple(_gradient_row(grid, layer) for layer in grid.layers),
        ),
    )


def _gradient_panel(grid: Grid) -> Spec:
    alt = require("altair")
    rows: list[Mapping[str, Any]] = [
        {
            "layer": cell.layer,
            "column": cell.column,
            "steps": _steps(cell.first, cell.last),
            "step": cell.first,
            "norm": cell.value,
            "state": cell.state,
        }
        for cell in grid.cells
    ]
    labels = {cell.column: cell.first for cell in grid.cells}
    columns = sorted(labels)
    x = alt.X(
        "column:O",
        title="optimizer step (sampled)",
        scale=alt.Scale(domain=columns, paddingInner=0, paddingOuter=0),
        axis=alt.Axis(
            values=columns[:: max(1, len(columns) // 8)],
            labelExpr=f"{[labels.get(c, 0) for c in range(columns[-1] + 1)]}[datum.value]",
            labelAngle=0,
            labelOverlap=True,
        ),
    )
    y = alt.Y(
        "layer:N",
        title=None,
        sort=None,
        scale=alt.Scale(domain=list(grid.layers), paddingInner=0, paddingOuter=0),
        axis=alt.Axis(
            labelExpr="length(datum.label) > 20 ? '…' + slice(datum.label, -19) : datum.label",
            labelLimit=150,
            labelOverlap=True,
            ticks=False,
            domain=False,
        ),
    )
    cells = alt.Chart(alt.Data(values=drawable(rows))).encode(x=x, y=y)
    norm = alt.Color(
        "norm:Q",
        title="norm of the gradient",
        scale=alt.Scale(type="log"),
        legend=alt.Legend(
            orient="top", direction="horizontal", format="~e", labelOverlap=True, **_decades(grid)
        ),
    )
    hints = tips(alt, "layer", "steps", "norm", "state")
    return sized(
        alt.layer(
            cells.transform_filter("datum.state === 'positive'")
            .mark_rect(style="cell")
            .encode(color=norm, tooltip=hints),
            cells.transform_filter("datum.state === 'not finite'")
            .mark_rect(style="lost")
            .encode(tooltip=hints),
            cells.transform_filter("datum.state === 'zero'")
            .mark_rect(style="nothing")
            .encode(tooltip=hints),
        ),
        max(90, min(26 * len(grid.layers), 560)),
    )


def _gradient_row(grid: Grid, layer: str) -> tuple[str, ...]:
    cells = sorted((c for c in grid.cells if c.layer == layer), key=lambda cell: cell.column)
    values = [math.nan if cell.state == "not finite" else cell.value for cell in cells]
    finite = [value for value in values if math.isfinite(value)] or [math.nan]
    return (layer, *(quantity(v) for v in (values[0], values[-1], min(finite), max(finite))))


def _steps(first: int, last: int) -> str:
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"


def _decades(grid: Grid) -> dict[str, list[float]]:
    """Powers of ten for the legend, five at most; left to Vega where there are fewer than two."""
    sizes = [math.log10(cell.value) for cell in grid.cells if cell.state == "positive"]
    if not sizes:
        return {}
    powers = range(math.ceil(min(sizes)), math.floor(max(sizes)) + 1)
    shown = powers[:: max(1, math.ceil(len(powers) / 5))]
    return {"values": [10.0**power for power in shown]} if len(shown) > 1 else {}
