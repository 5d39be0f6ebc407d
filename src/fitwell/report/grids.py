"""What a quantity of a trace was, by layer and step, pooled to what a drawing can show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

from fitwell.records import Finding, Quantity, Trace

State: TypeAlias = Literal["positive", "zero", "not finite"]

COLUMNS, LINES = 48, 60
"""Most stretches of steps and lines of layers that a grid has."""


@final
@dataclass(frozen=True)
class Cell:
    """A quantity in one line of the grid over a stretch of sampled steps.

    ``value`` is the largest finite one, so that a single explosion shows; 0 where there is none.
    ``state`` is ``"not finite"`` if any value of the stretch was.
    """

    column: int
    first: int
    last: int
    layer: str
    value: float
    state: State


@final
@dataclass(frozen=True)
class Grid:
    """A quantity by layer, in order of execution, and by stretches of sampled steps.

    Args:
        layers: Names of the lines, each of a layer, or of neighbours: ``"first … last"``.
        cells: What was measured.
        home: The line that each layer is in.
        pooled: How many layers a line has at most.
    """

    layers: tuple[str, ...]
    cells: tuple[Cell, ...]
    home: Mapping[str, str]
    pooled: int = 1

    @property
    def sees(self) -> bool:
        """Whether any value is other than zero."""
        return any(cell.state != "zero" for cell in self.cells)

    @property
    def steps(self) -> dict[int, int]:
        """The first step of every column."""
        return dict(sorted({cell.column: cell.first for cell in self.cells}.items()))


@final
@dataclass(frozen=True)
class Region:
    """A rectangle of a grid that a finding is about: lines and columns, the last included."""

    condition: str
    top: str
    bottom: str
    left: int
    right: int


def grid_of(
    trace: Trace, quantity: Quantity, *, columns: int = COLUMNS, lines: int = LINES
) -> Grid:
    """Pool a quantity of a trace into a grid of layers × stretches of sampled steps.

    Args:
        trace: Rows of the whole network are left out.
        quantity: What to show; it is never negative.
        columns: Most columns; neighbouring steps are pooled evenly where there are more.
        lines: Most lines; neighbouring layers are pooled evenly where there are more.
    """
    rows = [
        row for row in trace if row.quantity == quantity and row.module and row.phase == "train"
    ]
    steps = sorted({row.step for row in rows})
    size = max(1, math.ceil(len(steps) / columns))
    column_of = {step: place // size for place, step in enumerate(steps)}
    layers = in_order(trace, dict.fromkeys(row.module for row in rows))
    pooled = max(1, math.ceil(len(layers) / lines))
    parts = [layers[place : place + pooled] for place in range(0, len(layers), pooled)]
    home = {name: _line_name(part) for part in parts for name in part}
    found: dict[tuple[str, int], list[float]] = {}
    for row in rows:
        found.setdefault((home[row.module], column_of[row.step]), []).append(row.value)
    cells = [
        _cell(values, column, steps[column * size : (column + 1) * size], line)
        for (line, column), values in found.items()
    ]
    return Grid(tuple(dict.fromkeys(home.values())), tuple(cells), home, pooled)


def in_order(trace: Trace, names: Mapping[str, object]) -> list[str]:
    """Return names of layers in the order in which they run; those that are not known last."""
    known = [layer.name for layer in sorted(trace.facts.layers, key=lambda layer: layer.order)]
    return [name for name in known if name in names] + [n for n in names if n not in set(known)]


def regions(grid: Grid, findings: Sequence[Finding]) -> list[Region]:
    """Return what findings are about: a rectangle for each run of neighbouring lines.

    A finding that names no layer of the grid has none, nor has one that ended before the first
    column.
    """
    steps = grid.steps
    places = {line: place for place, line in enumerate(grid.layers)}
    found = []
    for finding in findings:
        begins = [column for column, first in steps.items() if first <= (finding.since or 0)]
        left = begins[-1] if begins else min(steps, default=0)
        until = math.inf if finding.until is None else finding.until
        held = [column for column, first in steps.items() if column >= left and first <= until]
        named = sorted({places[grid.home[name]] for name in finding.layers if name in grid.home})
        if held:
            found += [
                Region(finding.condition, grid.layers[top], grid.layers[end], left, held[-1])
                for top, end in _runs(named)
            ]
    return found


def _runs(places: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first and last of each run of neighbouring numbers."""
    runs: list[tuple[int, int]] = []
    for place in places:
        if runs and runs[-1][1] == place - 1:
            runs[-1] = (runs[-1][0], place)
        else:
            runs.append((place, place))
    return runs


def _line_name(part: Sequence[str]) -> str:
    return part[0] if len(part) == 1 else f"{part[0]} … {part[-1]}"


def _cell(values: Sequence[float], column: int, steps: Sequence[int], layer: str) -> Cell:
    positive = [value for value in values if 0 < value < math.inf]
    state: State = "positive" if positive else "zero"
    if not all(math.isfinite(value) for value in values):
        state = "not finite"
    return Cell(column, steps[0], steps[-1], layer, max(positive, default=0.0), state)
