"""What the charts have in common: clean rows, tooltips, and a size that follows the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fitwell.report.charts.figure import Spec


def drawable(rows: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with numbers that JSON cannot hold as None: Vega leaves them out."""
    return [
        {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in row.items()
        }
        for row in rows
    ]


def tips(alt: Any, *fields: str) -> list[Any]:
    """Return tooltips of these fields, numbers with three digits that matter."""
    words = {"name", "layer", "steps", "curve", "state"}
    whole = {"seed", "epoch", "rows"}
    return [
        alt.Tooltip(f"{field}:N")
        if field in words
        else alt.Tooltip(f"{field}:Q", **({} if field in whole else {"format": ".3~g"}))
        for field in fields
    ]


def sized(chart: Any, height: int) -> Spec:
    """Fix the size and leave out the look: that is the page's."""
    spec: Spec = chart.properties(width="container", height=height).to_dict()
    spec.pop("config", None)
    return spec
