"""Size of the updates against the weights that they change, by layer over the steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, final

from fitwell.errors import require
from fitwell.records import Quantity, Trace, some_of
from fitwell.report.charts.figure import Data, Figure, Panel, Spec
from fitwell.report.charts.vega import drawable, drawn, sized, tips
from fitwell.report.grids import COLUMNS, in_order
from fitwell.report.numbers import quantity
from fitwell.words import say, say_many

USUAL = (10**-3.5, 10**-2.5)
"""Half a power of ten about 1e-3, where the ratio of a run that goes well mostly lies, as the notes
of Stanford's CS231n say (Karpathy, "Neural Networks Part 3: Learning and Evaluation")."""

MOST_LINES = 12
"""More lines cannot be told apart."""


@final
@dataclass(frozen=True)
class Ratio:
    """Update over weight norm of a layer: the median over a stretch of sampled steps."""

    layer: str
    depth: int
    step: int
    value: float


def update_figure(trace: Trace) -> Figure | None:
    """Draw the update-to-weight ratio of every layer; None where it was not recorded."""
    names = in_order(trace, dict.fromkeys(trace.modules(Quantity.UPDATE_NORM)))
    chosen = [names[place] for place in sorted({round(n) for n in _spread(len(names))})]
    ratios = [one for name in chosen for one in ratios_of(trace, name, names.index(name))]
    if not ratios:
        return None
    shown = list(dict.fromkeys(ratio.layer for ratio in ratios))
    caption: str = say(
        "How to read it: each line is a layer, blue at the input, orange at the output; its height "
        "is the norm of an update over the norm of the weights that it changes. The grey band is "
        "half a power of ten about 0.001, where it mostly lies in a run that goes well (CS231n, "
        "Stanford): far above it the learning rate is too high for the layer, far below it the "
        "layer hardly learns. Each point is the median of neighbouring sampled steps."
    )
    if len(chosen) < len(names):
        caption += " " + say(
            "{shown} of {all} layers are drawn, evenly over the depth.",
            shown=len(chosen),
            all=len(names),
        )
    missing = [name for name in chosen if name not in shown]
    still = [n for n in missing if not any(v for _, v in trace.series(Quantity.UPDATE_NORM, n))]
    lost = [name for name in missing if name not in still]
    if lost:
        caption += " " + say(
            "No line is there for {layers}: nothing finite was measured.", layers=some_of(lost)
        )
    if still:
        caption += " " + say(
            "No line is there for {layers}: the updates were exactly zero.", layers=some_of(still)
        )
    return Figure(
        say("Size of the updates against the weights"),
        (Panel(say("the untreated network"), _panel(ratios)),),
        caption,
        _words(ratios, len(names)),
        Data(
            (say("layer"), say("first"), say("last"), say("median")),
            tuple(_table_row(ratios, layer) for layer in shown),
        ),
    )


def ratios_of(trace: Trace, layer: str, depth: int) -> list[Ratio]:
    """Return the ratios of a layer, pooled to what can be drawn; those of zero are left out."""
    weights = dict(trace.series(Quantity.WEIGHT_NORM, layer))
    pairs = [
        (step, value / weights[step])
        for step, value in trace.series(Quantity.UPDATE_NORM, layer)
        if weights.get(step, 0.0) > 0 and 0 < value / weights[step] < math.inf
    ]
    size = max(1, math.ceil(len(pairs) / COLUMNS))
    parts = [pairs[first : first + size] for first in range(0, len(pairs), size)]
    return [Ratio(layer, depth, part[0][0], median(v for _, v in part)) for part in parts]


def _spread(number: int) -> list[float]:
    """Return places evenly from the first to the last, at most :data:`MOST_LINES`."""
    if number <= MOST_LINES:
        return list(range(number))
    return [place * (number - 1) / (MOST_LINES - 1) for place in range(MOST_LINES)]


def _panel(ratios: Sequence[Ratio]) -> Spec:
    alt = require("altair")
    rows: list[Mapping[str, Any]] = [
        {"layer": r.layer, "depth": r.depth, "step": r.step, "ratio": r.value} for r in ratios
    ]
    deepest = max(ratio.depth for ratio in ratios)
    x = alt.X(
        "step:Q", title=say("optimizer step (sampled)"), axis=alt.Axis(grid=False, tickCount=8)
    )
    y = alt.Y(
        "ratio:Q",
        title=say("update over weights"),
        scale=alt.Scale(type="log"),
        axis=alt.Axis(format="~e", values=_powers(ratios), labelOverlap=True),
    )
    ends = f"datum.value == 0 ? '{say('input')}' : '{say('output')}'"
    depth = alt.Color(
        "depth:Q",
        title=None,
        scale=alt.Scale(range="ramp", domain=[0, max(1, deepest)]),
        legend=alt.Legend(
            orient="top", direction="horizontal", values=[0, max(1, deepest)], labelExpr=ends
        ),
    )
    usual = alt.Chart(alt.Data(values=drawable([{"low": USUAL[0], "high": USUAL[1]}])))
    lines = alt.Chart(drawn(rows)).encode(x=x, y=y, color=depth, detail="layer:N")
    return sized(
        alt.layer(
            usual.mark_rect(style="usual").encode(
                y=alt.Y("low:Q", scale=alt.Scale(type="log")), y2="high:Q"
            ),
            lines.mark_line(style="one"),
            lines.mark_point(style="one", filled=True, size=14).encode(
                tooltip=tips(alt, "layer", "step", "ratio")
            ),
        ),
        240,
    )


def _powers(ratios: Sequence[Ratio]) -> list[float]:
    """Return the powers of ten that the lines and the band lie between, eight or so at most."""
    sizes = [math.log10(value) for value in (*USUAL, *(ratio.value for ratio in ratios))]
    powers = range(math.floor(min(sizes)), math.ceil(max(sizes)) + 1)
    return [10.0**power for power in powers[:: max(1, math.ceil(len(powers) / 8))]]


def _words(ratios: Sequence[Ratio], layers: int) -> str:
    last = {ratio.layer: ratio.value for ratio in ratios}
    inside = sum(USUAL[0] <= value <= USUAL[1] for value in last.values())
    return say(
        "At the end the ratios of {layers} lie from {low} to {high}; {inside} of the {shown} drawn "
        "lie in the band.",
        layers=say_many("{number} layer", "{number} layers", layers),
        low=quantity(min(last.values())),
        high=quantity(max(last.values())),
        inside=inside,
        shown=len(last),
    )


def _table_row(ratios: Sequence[Ratio], layer: str) -> tuple[str, ...]:
    values = [ratio.value for ratio in ratios if ratio.layer == layer]
    return (layer, quantity(values[0]), quantity(values[-1]), quantity(median(values)))
