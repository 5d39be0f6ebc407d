"""The pictures of a claim that are drawn without axes: units, arrows and grey images."""

from __future__ import annotations

import math
import struct
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from fitwell.errors import require
from fitwell.records import Arrows, Images, Units
from fitwell.report.charts.figure import Data, Figure, Panel, Spec
from fitwell.report.charts.vega import drawable, drawn, sized, tips
from fitwell.report.numbers import quantity
from fitwell.words import say, say_many, told

MOST_EDGES = 900
"""Most connections that are drawn; of more, none are."""
SIDE = 320
"""Width and height of a plane of arrows, in pixels: both axes have one scale."""
COLUMNS = 5
"""Images side by side."""
SHARP = 112
"""Pixels of an image after it is enlarged, so that no browser blurs it."""


def units_figure(picture: Units) -> Figure:
    """Draw a network unit by unit, with the connections between units that are there."""
    rows = tuple(
        (str(number), str(sum(layer)), str(len(layer)))
        for number, layer in enumerate(picture.layers, start=1)
    )
    there, count = sum(map(sum, picture.layers)), sum(map(len, picture.layers))
    return Figure(
        told(picture.title),
        (
            Panel(
                say_many(
                    "{there} of {number} unit is there",
                    "{there} of {number} units are there",
                    count,
                    there=there,
                ),
                _units(picture),
            ),
        ),
        say(
            "How to read it: each column is a layer, each filled circle a unit that is there; a "
            "crossed, hollow one is not, and nothing passes through it. Lines join units of "
            "neighbouring layers."
        ),
        " ".join(
            say("Layer {layer}: {there} of {units} are there.", layer=a, there=b, units=c)
            for a, b, c in rows
        ),
        Data((say("layer"), say("units that are there"), say("units")), rows),
    )


def arrows_figure(picture: Arrows) -> Figure:
    """Draw vectors from the origin, and the circle that bounds them."""
    rows = tuple(
        (told(name), quantity(x), quantity(y), quantity(math.hypot(x, y)))
        for name, x, y in picture.rows
    )
    return Figure(
        told(picture.title),
        (
            Panel(
                say("the dashed circle has radius {radius}", radius=quantity(picture.radius)),
                _arrows(picture),
            ),
        ),
        say(
            "How to read it: every arrow starts at the same point; its length is the norm, its "
            "direction where it points. The dashed circle is the limit of the norm."
        ),
        " ".join(say("{name} has length {length}.", name=row[0], length=row[3]) for row in rows),
        Data((say("arrow"), "x", "y", say("length")), rows),
    )


def images_figure(picture: Images) -> Figure:
    """Draw grey images side by side, each with its label."""
    names = [told(label) for label, _ in picture.images]
    rows = tuple(
        (told(label), f"{len(pixels[0])} × {len(pixels)}", quantity(_ink(pixels)))
        for label, pixels in picture.images
    )
    return Figure(
        told(picture.title),
        (
            Panel(
                say_many("{number} image", "{number} images", len(names)),
                _images(picture),
            ),
        ),
        say("How to read it: every image as the network sees it; ink is dark, paper is white."),
        ", ".join(names) + ".",
        Data((say("image"), say("pixels"), say("mean ink")), rows),
    )


def _units(picture: Units) -> Spec:
    alt = require("altair")
    most = max(map(len, picture.layers))
    places = [
        (layer, place - (len(units) - 1) / 2, there)
        for layer, units in enumerate(picture.layers)
        for place, there in enumerate(units)
    ]
    rows: list[Mapping[str, Any]] = [
        {"layer": layer + 1, "place": place, "state": "there" if there else "off"}
        for layer, place, there in places
    ]
    edges = [
        {"layer": layer + 1, "place": place, "next": layer + 2, "to": to}
        for layer, place, there in places
        for other, to, joined in places
        if there and joined and other == layer + 1
    ]
    height = max(150, min(30 * most, 400))
    size = min(0.55 * height / most, 22) ** 2
    x = alt.X(
        "layer:Q",
        axis=None,
        scale=alt.Scale(domain=[0.7, len(picture.layers) + 0.3], nice=False),
    )
    y = alt.Y(
        "place:Q",
        axis=None,
        scale=alt.Scale(domain=[-most / 2, most / 2], nice=False, reverse=True),
    )
    units = alt.Chart(drawn(rows)).encode(x=x, y=y)
    layers = []
    if 0 < len(edges) <= MOST_EDGES:
        joined = alt.Chart(alt.Data(values=drawable(edges)))
        layers.append(joined.mark_rule(style="edge").encode(x=x, y=y, x2="next:Q", y2="to:Q"))
    off = units.transform_filter("datum.state === 'off'")
    layers += [
        units.transform_filter("datum.state === 'there'").mark_point(style="unit", size=size),
        off.mark_point(style="unit_off", size=size),
        off.mark_point(style="unit_cross", size=0.55 * size),
    ]
    return sized(alt.layer(*layers), height)


def _arrows(picture: Arrows) -> Spec:
    alt = require("altair")
    radius = picture.radius
    rows: list[Mapping[str, Any]] = [
        {
            "name": told(name),
            "x": x,
            "y": y,
            "angle": math.degrees(math.atan2(x, y)),
            "length": math.hypot(x, y),
        }
        for name, x, y in picture.rows
    ]
    xs = [-radius, radius, *(row["x"] for row in rows)]
    ys = [-radius, radius, *(row["y"] for row in rows)]
    side = 1.16 * max(max(xs) - min(xs), max(ys) - min(ys), 1e-12)

    def axis(kind: Any, field: str, values: Sequence[float]) -> Any:
        middle = (max(values) + min(values)) / 2
        domain = [middle - side / 2, middle + side / 2]
        return kind(f"{field}:Q", axis=None, scale=alt.Scale(domain=domain, nice=False))

    x, y = axis(alt.X, "x", xs), axis(alt.Y, "y", ys)
    turns = [math.tau * step / 90 for step in range(91)]
    circle = alt.Chart(
        alt.Data(
            values=[
                {"x": radius * math.cos(turn), "y": radius * math.sin(turn), "order": step}
                for step, turn in enumerate(turns)
            ]
        )
    )
    colour = alt.Color(
        "name:N", title=None, sort=None, scale=alt.Scale(domain=[row["name"] for row in rows])
    )
    arrows = alt.Chart(drawn(rows)).encode(x=x, y=y, color=colour)
    origin = alt.Chart(alt.Data(values=[{"x": 0, "y": 0}])).encode(x=x, y=y)
    spec = sized(
        alt.layer(
            circle.mark_line(style="bound").encode(x=x, y=y, order="order:Q"),
            arrows.mark_rule(style="arrow").encode(
                x2=alt.datum(0), y2=alt.datum(0), tooltip=tips(alt, "name", "length")
            ),
            arrows.mark_point(style="head").encode(
                angle=alt.Angle("angle:Q", scale=alt.Scale(domain=[0, 360], range=[0, 360]))
            ),
            origin.mark_point(style="origin"),
        ),
        SIDE,
    )
    return {**spec, "width": SIDE, "autosize": {"type": "pad"}}


def _images(picture: Images) -> Spec:
    alt = require("altair")
    columns = min(COLUMNS, len(picture.images))
    rows: list[Mapping[str, Any]] = [
        {"name": told(label), "column": place % columns, "row": place // columns}
        for place, (label, _) in enumerate(picture.images)
    ]
    shown = [
        {**row, "url": _data_url(pixels)}
        for row, (_, pixels) in zip(rows, picture.images, strict=True)
    ]
    lines = rows[-1]["row"] + 1
    cell = 150
    x = alt.X("column:Q", axis=None, scale=alt.Scale(domain=[-0.5, columns - 0.5], nice=False))
    y = alt.Y(
        "row:Q", axis=None, scale=alt.Scale(domain=[-0.5, lines - 0.5], nice=False, reverse=True)
    )
    side = {"expr": f"min({cell - 36}, 0.92 * width / {columns})"}
    pictures = alt.Chart(alt.Data(values=shown)).mark_image(
        width=side, height=side, align="center", baseline="middle"
    )
    names = alt.Chart(drawn(rows)).mark_text(style="under", dy=cell / 2 - 9)
    return sized(
        alt.layer(
            pictures.encode(x=x, y=y, url="url:N"),
            names.encode(x=x, y=y, text="name:N"),
        ),
        cell * lines,
    )


def _ink(pixels: Sequence[Sequence[float]]) -> float:
    values = [value for row in pixels for value in row]
    return math.fsum(values) / len(values)


def _data_url(pixels: Sequence[Sequence[float]]) -> str:
    """Return a grey image as a PNG inside an address: every pixel a square of several."""
    times = max(1, math.ceil(SHARP / max(len(pixels), len(pixels[0]))))
    lines = bytearray()
    for row in pixels:
        line = bytes(
            round(255 * (1 - min(1.0, max(0.0, ink)))) for ink in row for _ in range(times)
        )
        lines += (b"\0" + line) * times
    size = struct.pack(">IIBBBBB", times * len(pixels[0]), times * len(pixels), 8, 0, 0, 0, 0)
    parts = ((b"IHDR", size), (b"IDAT", zlib.compress(bytes(lines), 9)), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    return "data:image/png;base64," + b64encode(png).decode()
