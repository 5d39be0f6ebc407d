"""A grid of layers × steps in colours, with what a finding is about outlined."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fitwell.errors import require
from fitwell.report.charts.figure import Data, Spec
from fitwell.report.charts.vega import drawable, drawn, sized, tips
from fitwell.report.conditions import condition_title
from fitwell.report.grids import Grid, Region
from fitwell.report.numbers import quantity
from fitwell.words import say

TALLEST = 560
"""Most pixels that a grid is high."""


def heat_panel(grid: Grid, regions: Sequence[Region], *, title: str, log: bool) -> Spec:
    """Draw a grid: brighter is larger; what is not finite, or zero on a log scale, apart.

    Args:
        grid: What to draw.
        regions: What to outline.
        title: Of the colours.
        log: Whether the colours are on a logarithmic scale; else they go from 0 to 1.
    """
    alt = require("altair")
    rows: list[Mapping[str, Any]] = [
        {
            "layer": cell.layer,
            "column": cell.column,
            "step": cell.first,
            "last_step": cell.last,
            "value": cell.value,
            "state": cell.state,
        }
        for cell in grid.cells
    ]
    x, y = _step_axis(alt, grid), _layer_axis(alt, grid)
    cells = alt.Chart(drawn(rows)).encode(x=x, y=y)
    scale = alt.Scale(type="log") if log else alt.Scale(domain=[0, 1])
    ticks: dict[str, Any] = _decades(grid) if log else {"format": "~%"}
    colour = alt.Color(
        "value:Q",
        title=title,
        scale=scale,
        legend=alt.Legend(
            orient="top",
            direction="horizontal",
            labelOverlap=True,
            **({"format": "~e"} | ticks),
        ),
    )
    hints = tips(alt, "layer", "step", "last_step", "value", "state")
    shown = "datum.state === 'positive'" if log else "datum.state !== 'not finite'"
    layers = [
        cells.transform_filter(shown).mark_rect(style="cell").encode(color=colour, tooltip=hints),
        cells.transform_filter("datum.state === 'not finite'")
        .mark_rect(style="lost")
        .encode(tooltip=hints),
    ]
    if log:
        layers.append(
            cells.transform_filter("datum.state === 'zero'")
            .mark_rect(style="nothing")
            .encode(tooltip=hints)
        )
    layers += _outlines(alt, regions)
    return sized(alt.layer(*layers), max(90, min(26 * len(grid.layers), TALLEST)))


def pooled_words(grid: Grid) -> str:
    """Return what of a grid is pooled, as a sentence with a space before it, or ""."""
    if grid.pooled == 1:
        return ""
    return " " + say(
        "Neighbouring layers share a line, {layers} at most; the largest is shown.",
        layers=grid.pooled,
    )


def heat_table(grid: Grid) -> Data:
    """Return the lines of a grid as a table: how it begins, how it ends, and between what."""
    return Data(
        (
            say("layer"),
            say("first column"),
            say("last column"),
            say("smallest"),
            say("largest"),
        ),
        tuple(_heat_row(grid, layer) for layer in grid.layers),
    )


def _outlines(alt: Any, regions: Sequence[Region]) -> list[Any]:
    """Return a rectangle around every region, with its name in the corner."""
    rows: list[Mapping[str, Any]] = [
        {
            "top": one.top,
            "bottom": one.bottom,
            "left": one.left,
            "right": one.right,
            "name": condition_title(one.condition),
        }
        for one in regions
    ]
    if not rows:
        return []
    around = alt.Chart(alt.Data(values=drawable(rows)))
    box = {
        "x": alt.X("left:O", bandPosition=0),
        "x2": alt.X2("right", bandPosition=1),
        "y": alt.Y("top:N", bandPosition=0),
        "y2": alt.Y2("bottom", bandPosition=1),
    }
    corner = {"x": box["x"], "y": box["y"], "text": "name:N"}
    return [
        *(
            around.mark_rect(style=style, filled=False).encode(**box)
            for style in ("region-halo", "region")
        ),
        *(
            around.mark_text(style=style, dx=6, dy=11).encode(**corner)
            for style in ("halo", "name")
        ),
    ]


def _step_axis(alt: Any, grid: Grid) -> Any:
    labels = grid.steps
    columns = list(labels)
    return alt.X(
        "column:O",
        title=say("optimizer step (sampled)"),
        scale=alt.Scale(domain=columns, paddingInner=0, paddingOuter=0),
        axis=alt.Axis(
            values=columns[:: max(1, len(columns) // 8)],
            labelExpr=f"{[labels.get(c, 0) for c in range(columns[-1] + 1)]}[datum.value]",
            labelAngle=0,
            labelOverlap=True,
        ),
    )


def _layer_axis(alt: Any, grid: Grid) -> Any:
    return alt.Y(
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


def _heat_row(grid: Grid, layer: str) -> tuple[str, ...]:
    cells = sorted((c for c in grid.cells if c.layer == layer), key=lambda cell: cell.column)
    values = [math.nan if cell.state == "not finite" else cell.value for cell in cells]
    finite = [value for value in values if math.isfinite(value)] or [math.nan]
    return (layer, *(quantity(v) for v in (values[0], values[-1], min(finite), max(finite))))


def _decades(grid: Grid) -> dict[str, list[float]]:
    """Powers of ten for the legend, five at most; left to Vega where there are fewer than two."""
    sizes = [math.log10(cell.value) for cell in grid.cells if cell.state == "positive"]
    if not sizes:
        return {}
    powers = range(math.ceil(min(sizes)), math.floor(max(sizes)) + 1)
    shown = powers[:: max(1, math.ceil(len(powers) / 5))]
    return {"values": [10.0**power for power in shown]} if len(shown) > 1 else {}
