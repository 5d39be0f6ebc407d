"""Figures as files: the same drawings as on the page, light on white, with their title and caption.

vl-convert draws them without a browser.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from textwrap import wrap
from typing import Any

from fitwell.errors import require
from fitwell.report.charts import Figure, Panel
from fitwell.report.charts.figure import Spec
from fitwell.report.network_svg import NetworkFigure
from fitwell.report.theme import look, painted, template_text
from fitwell.words import Said, say

WIDTH, SEVERAL = 640, 400
"""Width of a panel that stands alone, and of one beside another, in pixels."""
SCALE = 2
"""Pixels of a PNG for one of the figure."""
_LETTERS = 6.0
"""Width of a letter of the caption, in pixels, for its lines."""


def figure_files(figures: Mapping[str, Figure | NetworkFigure | None]) -> dict[str, bytes]:
    """Return every figure as PNG and as SVG, by a file name that its title gives.

    Args:
        figures: Figures by name; None stands for one that has nothing to draw.

    Raises:
        MissingExtra: If vl-convert is not installed.
    """
    files: dict[str, bytes] = {}
    for key, figure in figures.items():
        if figure is not None:
            stem = _free(_slug(_title(figure)) or key, files)
            svg = figure_svg(figure)
            files[f"{stem}.svg"] = svg.encode()
            files[f"{stem}.png"] = require("vl_convert").svg_to_png(svg, scale=SCALE)
    return files


def figure_svg(figure: Figure | NetworkFigure, *, caption: bool = True) -> str:
    """Return a figure as one SVG on a white ground, all its panels with title and caption.

    Args:
        figure: The figure.
        caption: Whether it is said how to read it; of a network nothing is said.

    Raises:
        MissingExtra: If altair or vl-convert is not installed.
    """
    if isinstance(figure, NetworkFigure):
        return _network_svg(figure)
    return _drawn(spec_of(figure, caption=caption))


def spec_of(figure: Figure, *, caption: bool = True) -> Spec:
    """Return a figure with all its panels as one Vega-Lite specification of a fixed size."""
    several = len(figure.panels) > 1
    width = SEVERAL if several else WIDTH
    across = 2 * SEVERAL + 40 if several else WIDTH
    return {
        "$schema": figure.panels[0].spec["$schema"],
        "description": figure.alternative,
        "title": {
            "text": figure.title,
            "subtitle": _lines(figure.caption, across) if caption else [],
            "anchor": "start",
            "fontSize": 16,
            "subtitleFontSize": 12,
            "subtitleLineHeight": 17,
            "subtitlePadding": 8,
            "subtitleColor": painted("var(--soft)"),
            "color": painted("var(--ink)"),
            "offset": 18,
        },
        "concat": [_part(panel, width) for panel in figure.panels],
        "columns": 2,
        "spacing": 40,
        "resolve": {
            kind: {"color": "independent", "shape": "independent", "size": "independent"}
            for kind in ("scale", "legend")
        },
    }


def _part(panel: Panel, width: int) -> Spec:
    """Return a panel as it stands beside others, of that width unless it has one of its own."""
    spec = {name: part for name, part in _own_data(panel.spec).items() if name != "$schema"}
    spec.pop("autosize", None)
    own = width if spec["width"] == "container" else spec["width"]
    title = {"text": _lines(panel.heading, width), "anchor": "start", "fontWeight": "normal"}
    title["color"] = painted("var(--soft)")
    return {**_measured(spec, own), "width": own, "title": title}


def _measured(part: Any, width: int) -> Any:
    """Return a part whose expressions hold the width: beside others, none is known by that name."""
    if isinstance(part, list):
        return [_measured(one, width) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        name: re.sub(r"\bwidth\b", str(width), value)
        if name == "expr" and isinstance(value, str)
        else _measured(value, width)
        for name, value in part.items()
    }


def _own_data(spec: Spec) -> Spec:
    """Return a specification whose data stand where they are drawn: panels may name them alike."""
    named: Mapping[str, Any] = spec.get("datasets", {})

    def within(part: Any) -> Any:
        if isinstance(part, list):
            return [within(one) for one in part]
        if not isinstance(part, dict):
            return part
        if part.get("name") in named and "values" not in part:
            kept = {name: value for name, value in part.items() if name != "name"}
            return {**kept, "values": named[part["name"]]}
        return {name: within(value) for name, value in part.items()}

    return {name: within(part) for name, part in spec.items() if name != "datasets"}


def _drawn(spec: Spec) -> str:
    version = ".".join(require("altair").SCHEMA_VERSION.split(".")[:2])
    config = {**painted(look()), "background": "#ffffff"}
    config["padding"] = 12
    svg: str = require("vl_convert").vegalite_to_svg({**spec, "config": config}, vl_version=version)
    return svg


def _network_svg(figure: NetworkFigure) -> str:
    """Return the network with its style sheet inside, so that it stands alone."""
    rules = painted(template_text("network.css"))
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    start, mark, rest = str(figure.svg).partition("</title>")
    return f"{start}{mark}<style>{rules}</style>{ground}{rest}"


def _title(figure: Figure | NetworkFigure) -> str:
    """Return the title as it is written in English, whatever language is spoken."""
    title = say("The network") if isinstance(figure, NetworkFigure) else figure.title
    return title.template[0] if isinstance(title, Said) else title


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _free(stem: str, taken: Mapping[str, bytes]) -> str:
    """Return a name that no file has yet."""
    names = (stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 2)))
    return next(name for name in names if f"{name}.svg" not in taken)


def _lines(text: str, width: float) -> list[str]:
    """Break a text into lines that are as wide as what stands under them."""
    wide = any(unicodedata.east_asian_width(letter) == "W" for letter in text)
    return wrap(text, round(width / (_LETTERS * (1.6 if wide else 1))))
