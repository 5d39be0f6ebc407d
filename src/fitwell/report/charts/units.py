"""Shares of dead and of saturated units by layer and step."""

from __future__ import annotations

from fitwell.records import Diagnosis, Quantity, Trace
from fitwell.report.charts.figure import Figure, Panel
from fitwell.report.charts.heat import heat_panel, heat_table, pooled_words
from fitwell.report.grids import Grid, grid_of, regions
from fitwell.report.numbers import quantity
from fitwell.words import say, say_many


def dead_figure(trace: Trace, diagnosis: Diagnosis) -> Figure | None:
    """Draw the share of dead units; None where none was dead, or none was looked at."""
    grid = grid_of(trace, Quantity.DEAD_SHARE)
    if not grid.sees:
        return None
    return _figure(
        grid,
        diagnosis,
        "dead_units",
        title=say("Dead units by layer and step"),
        colours=say("share of units"),
        reading=say(
            "How to read it: the brighter, the larger the share of the units of a layer that put "
            "out zero for every sample seen lately. Such a unit receives no gradient, so that its "
            "own weights cannot revive it."
        ),
    )


def saturated_figure(trace: Trace, diagnosis: Diagnosis) -> Figure | None:
    """Draw the share of saturated activations; None where there was none, or none looked at."""
    grid = grid_of(trace, Quantity.SATURATED_SHARE)
    if not grid.sees:
        return None
    return _figure(
        grid,
        diagnosis,
        "saturated_units",
        title=say("Saturated units by layer and step"),
        colours=say("share of activations"),
        reading=say(
            "How to read it: the brighter, the larger the share of the activations of a layer that "
            "lie in the flat part of a sigmoid or tanh, where next to no gradient passes."
        ),
    )


def nothing_silent(trace: Trace) -> tuple[str, ...]:
    """Return a sentence for what was looked for in every unit, and never seen."""
    dead = grid_of(trace, Quantity.DEAD_SHARE)
    saturated = grid_of(trace, Quantity.SATURATED_SHARE)
    found = []
    if dead.cells and not dead.sees:
        found.append(say("No unit of the {layers} with a ReLU was dead.", layers=_layers(dead)))
    if saturated.cells and not saturated.sees:
        found.append(
            say(
                "No activation of the {layers} with a sigmoid or tanh was saturated.",
                layers=_layers(saturated),
            )
        )
    return tuple(found)


def _figure(
    grid: Grid, diagnosis: Diagnosis, condition: str, *, title: str, colours: str, reading: str
) -> Figure:
    outlined = regions(grid, [f for f in diagnosis if f.condition == condition])
    caption: str = say(
        "{reading} The input is at the top, time runs to the right; columns are sampled steps, and "
        "where several share one, the largest is shown.",
        reading=reading,
    )
    if outlined:
        caption += " " + say("The outline is where and when the finding holds.")
    largest = max(grid.cells, key=lambda cell: cell.value)
    return Figure(
        title,
        (
            Panel(
                say("the untreated network"), heat_panel(grid, outlined, title=colours, log=False)
            ),
        ),
        caption + pooled_words(grid),
        say(
            "The largest share of {layers} is {share}, in {layer} at step {step}.",
            layers=_layers(grid),
            share=quantity(largest.value),
            layer=largest.layer,
            step=f"{largest.first:,}",
        ),
        heat_table(grid),
    )


def _layers(grid: Grid) -> str:
    return say_many("{number} layer", "{number} layers", len(grid.home))
