"""Size of the gradient by layer and step."""

from __future__ import annotations

from fitwell.records import Diagnosis, Quantity, Trace, some_of
from fitwell.report.charts.figure import Figure, Panel
from fitwell.report.charts.heat import heat_panel, heat_table, pooled_words
from fitwell.report.grids import Grid, grid_of, regions
from fitwell.report.numbers import quantity
from fitwell.words import say, say_many

CONDITIONS = ("vanishing_gradients", "exploding_gradients", "non_finite")
"""Conditions that show in the size of gradients."""


def gradient_figure(trace: Trace, diagnosis: Diagnosis) -> Figure | None:
    """Draw gradient size by layer and step on a log scale; None where none was recorded."""
    grid = grid_of(trace, Quantity.GRADIENT_NORM)
    if not grid.cells:
        return None
    outlined = regions(grid, [f for f in diagnosis if f.condition in CONDITIONS])
    caption: str = say(
        "How to read it: the input is at the top, the output at the bottom, time runs to the "
        "right. The brighter, the larger the norm of the gradient that a layer's weights receive; "
        "every step of the colour scale is a constant factor. A column that darkens towards "
        "the top shows a gradient that vanishes on its way back, one that brightens a gradient "
        "that explodes. Columns are sampled steps, often densest at the start; where several share "
        "one, the largest is shown. Red is a value that is not finite, grey a gradient of exactly "
        "zero."
    )
    if outlined:
        caption += " " + say("The outline is where and when the finding holds.")
    panel = heat_panel(grid, outlined, title=say("norm of the gradient"), log=True)
    return Figure(
        say("Size of the gradient by layer and step"),
        (Panel(say("the untreated network"), panel),),
        caption + pooled_words(grid),
        _words(grid),
        heat_table(grid),
    )


def _words(grid: Grid) -> str:
    layers = say_many("{number} layer", "{number} layers", len(grid.home))
    shown = [cell.value for cell in grid.cells if cell.state == "positive"]
    if shown:
        words: str = say(
            "Gradient norms of {layers} run from {low} to {high}.",
            layers=layers,
            low=quantity(min(shown)),
            high=quantity(max(shown)),
        )
    else:
        words = say("Gradient norms of {layers} are never above 0.", layers=layers)
    lost = tuple(dict.fromkeys(c.layer for c in grid.cells if c.state == "not finite"))
    if lost:
        words += " " + say(
            "Values that are not finite were seen in {layers}.", layers=some_of(lost)
        )
    return words
