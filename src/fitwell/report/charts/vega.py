"""What the charts have in common: the numbers that are drawn, tooltips, and the size."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from fitwell.errors import require
from fitwell.report.charts.figure import DRAWN, Spec
from fitwell.words import say

WORDS = frozenset({"name", "layer", "curve", "state", "arm", "what"})
WHOLE = frozenset({"seed", "epoch", "rows", "step", "last_step"})


def drawable(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with numbers that JSON cannot hold as None: Vega leaves them out."""
    return [
        {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in row.items()
        }
        for row in rows
    ]


def drawn(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return the data of a panel: what it draws, and what its reader can have as CSV.

    A panel has one such table. What only helps to draw it (names, a line at zero) is no part of it.
    """
    return require("altair").Data(name=DRAWN, values=drawable(rows))


def tips(alt: Any, *fields: str) -> list[Any]:
    """Return tooltips of these fields, numbers with three digits that matter."""
    titles = field_titles()
    return [
        alt.Tooltip(f"{field}:N", title=titles.get(field, field))
        if field in WORDS
        else alt.Tooltip(
            f"{field}:Q",
            title=titles.get(field, field),
            **({} if field in WHOLE else {"format": ".3~g"}),
        )
        for field in fields
    ]


def field_titles() -> dict[str, str]:
    """Return what the fields of the charts are called in a tooltip."""
    return {
        "name": say("name"),
        "layer": say("layer"),
        "step": say("step"),
        "last_step": say("last step"),
        "curve": say("curve"),
        "state": say("state"),
        "arm": say("arm"),
        "seed": say("seed"),
        "epoch": say("epoch"),
        "rows": say("rows"),
        "ratio": say("ratio"),
        "value": say("value"),
        "mean": say("mean"),
        "loss": say("loss"),
        "score": say("score"),
        "low": say("low"),
        "high": say("high"),
        "weights": say("weights"),
    }


def sized(chart: Any, height: int) -> Spec:
    """Fix the size and leave out the look, which is the page's; hold the drawn numbers as CSV."""
    spec: Spec = chart.properties(width="container", height=height).to_dict()
    spec.pop("config", None)
    for data in _drawn_in(spec):
        rows = data.pop("values")
        data["format"] = {"type": "csv", "parse": _kinds(rows)}
        spec["datasets"] = {DRAWN: _csv(rows)}
    return spec


def _drawn_in(part: Any) -> list[dict[str, Any]]:
    """Return every place of a specification that draws the numbers of the panel."""
    if isinstance(part, list):
        return [data for one in part for data in _drawn_in(one)]
    if not isinstance(part, dict):
        return []
    data = part.get("data")
    own = [data] if isinstance(data, dict) and data.get("name") == DRAWN else []
    return own + [data for one in part.values() for data in _drawn_in(one)]


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _kinds(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    texts = {name for row in rows for name, value in row.items() if isinstance(value, str)}
    return {name: "string" if name in texts else "number" for name in _columns(rows)}


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    file = StringIO()
    writer = csv.DictWriter(file, _columns(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()
