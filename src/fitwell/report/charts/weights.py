"""Weights of the untreated and the treated network, with the exact zeros apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fitwell.errors import require
from fitwell.records import ArmWeights
from fitwell.report.charts.figure import Data, Figure, Panel, Spec
from fitwell.report.charts.vega import drawn, sized, tips
from fitwell.report.numbers import quantity
from fitwell.report.wording import arm_title
from fitwell.words import say, say_many

MOST_LAYERS = 40
"""More rows make a table that nobody reads."""


def weights_figure(weights: Sequence[ArmWeights]) -> Figure | None:
    """Draw a histogram of the weights of each network; None where there are none."""
    if not weights:
        return None
    most = max(max(max(one.counts), one.zeros) for one in weights)
    caption: str = say(
        "How to read it: the blue bars count the trained weights of one network by their size, all "
        "layers together; the upright scale grows with the square root of the count, so that rare "
        "weights show. The orange bar at 0 is apart from them: it counts the weights that are "
        "exactly zero, as L1 and pruning leave them. Weights beyond the edges are in the outermost "
        "bars. All drawings share their scales."
    )
    layers = max(len(one.layers) for one in weights)
    if layers > MOST_LAYERS:
        caption += " " + say(
            "The table has the first {shown} of {all} layers.", shown=MOST_LAYERS, all=layers
        )
    return Figure(
        say("The weights after training"),
        tuple(Panel(_heading(one), _panel(one, most)) for one in weights),
        caption,
        " ".join(_words(one) for one in weights),
        Data(
            (
                say("arm"),
                say("layer"),
                say("weights"),
                say("exactly zero"),
                say("root mean square"),
            ),
            tuple(row for one in weights for row in _table_rows(one)),
        ),
    )


def weight_rows(weights: ArmWeights) -> list[Mapping[str, Any]]:
    """Return one row a bin, and one for the exact zeros."""
    bins = zip(weights.edges, weights.edges[1:], weights.counts, strict=False)
    rows: list[Mapping[str, Any]] = [
        {"arm": weights.arm, "what": "bin", "low": low, "high": high, "weights": count}
        for low, high, count in bins
    ]
    zeros = {"arm": weights.arm, "what": "exactly zero", "low": 0.0, "high": 0.0}
    return [*rows, {**zeros, "weights": weights.zeros}]


def _panel(weights: ArmWeights, most: int) -> Spec:
    alt = require("altair")
    base = alt.Chart(drawn(weight_rows(weights)))
    x = alt.X(
        "low:Q",
        title=say("weight"),
        scale=alt.Scale(domain=[weights.edges[0], weights.edges[-1]], nice=False),
        axis=alt.Axis(tickCount=7, grid=False, format="~g"),
    )
    scale = alt.Scale(type="sqrt", domain=[0, most], nice=False)
    y = alt.Y(
        "weights:Q",
        title=say("number of weights"),
        scale=scale,
        axis=alt.Axis(tickCount=5, format=",d"),
    )
    bins = base.transform_filter("datum.what === 'bin'")
    zeros = base.transform_filter("datum.what !== 'bin' && datum.weights > 0")
    return sized(
        alt.layer(
            bins.mark_rect(style="bin").encode(
                x=x,
                x2="high:Q",
                y=y,
                y2=alt.value("height"),
                tooltip=tips(alt, "low", "high", "weights"),
            ),
            zeros.mark_bar(style="exact", width=9).encode(
                x=x, y=y, tooltip=tips(alt, "what", "weights")
            ),
        ),
        220,
    )


def _heading(weights: ArmWeights) -> str:
    return say(
        "{arm}, seed {seed}: {zeros} of {all} exactly zero",
        arm=arm_title(weights.arm),
        seed=weights.seed,
        zeros=f"{weights.zeros:,}",
        all=f"{weights.total:,}",
    )


def _words(weights: ArmWeights) -> str:
    return say(
        "{arm}: {zeros} of {all} are exactly zero.",
        arm=arm_title(weights.arm),
        zeros=f"{weights.zeros:,}",
        all=say_many("{number} weight", "{number} weights", weights.total),
    )


def _table_rows(weights: ArmWeights) -> list[tuple[str, ...]]:
    return [
        (
            arm_title(weights.arm),
            layer.name,
            f"{layer.total:,}",
            f"{layer.zeros:,}",
            quantity(layer.deviation),
        )
        for layer in weights.layers[:MOST_LAYERS]
    ]
