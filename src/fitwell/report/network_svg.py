"""A network drawn for a page: one SVG with its own signs, its text selectable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, final

from markupsafe import Markup

from fitwell.records import Anatomy, Change, Diagnosis
from fitwell.records.drawing import Line, Picture, Rail, picture_of
from fitwell.report.network_lines import LEGEND
from fitwell.report.network_marks import Mark, marks_of
from fitwell.report.numbers import printable
from fitwell.words import say, say_many, told

ROW, LANE, TEXT = 24, 18, 7.3
"""Height of a line, distance of rails, and width of a character."""

LEFT, GAP, CORNER, INDENT, LEGEND_ROW = 16, 20, 7, 14, 24
NARROWEST = 560.0

SIGNS = {
    "input": '<circle r="5.5" class="hollow"/>',
    "layer": '<circle r="6"/>',
    "recurrent": '<circle r="6"/><path class="cut" d="M2.6 -1.5 A3 3 0 1 0 2.6 1.5"/>',
    "activation": '<circle r="7" class="ground"/><path class="stroke" d="M-5 4.5 L0 4.5 L6 -5"/>',
    "normalization": '<circle r="7" class="ground"/>'
    '<path class="stroke" d="M-5.5 -2.5 H5.5 M-5.5 2.5 H5.5"/>',
    "dropout": '<circle r="5.5" class="hollow dashed"/>',
    "add": '<circle r="7" class="hollow"/><path class="stroke" d="M-3.5 0 H3.5 M0 -3.5 V3.5"/>',
    "gate": '<circle r="6" class="hollow"/><path d="M0 -6 A6 6 0 0 1 0 6 Z"/>',
    "scaling": '<circle r="7" class="hollow"/>'
    '<path class="stroke" d="M-2.6 -2.6 L2.6 2.6 M-2.6 2.6 L2.6 -2.6"/>',
    "product": '<rect x="-6" y="-6" width="12" height="12" class="hollow"/>'
    '<path class="stroke" d="M-2.6 -2.6 L2.6 2.6 M-2.6 2.6 L2.6 -2.6"/>',
    "attention": '<circle r="6.5" class="hollow"/><circle r="3"/>',
    "join": '<path d="M0 -7 L7 0 L0 7 L-7 0 Z" class="hollow"/>',
    "pooling": '<path d="M-6 -4.5 H6 L0 6 Z"/>',
    "output": '<rect x="-6" y="-6" width="12" height="12" rx="1.5"/>',
}
"""The sign of each kind of line, about (0, 0)."""

SQUARE = '<rect x="-11.5" y="-11.5" width="23" height="23" rx="3" class="changed"/>'
"""What stands around a layer that a recipe changed."""


@final
@dataclass(frozen=True)
class NetworkFigure:
    """The picture of a network, for a page.

    Args:
        svg: The drawing.
        marked: How many lines a finding is about.
        treated: How many lines the recipe changed.
    """

    svg: Markup
    marked: int
    treated: int = 0


def network_figure(
    anatomy: Anatomy | None, diagnosis: Diagnosis, changes: Sequence[Change] = ()
) -> NetworkFigure | None:
    """Draw a network, and mark what is said of its layers; None without nodes.

    Args:
        anatomy: The untreated network.
        diagnosis: A ring stands around every layer that a finding names.
        changes: A dashed square stands around every layer that a recipe changed.
    """
    if anatomy is None or not anatomy.nodes:
        return None
    picture = picture_of(anatomy)
    marks = marks_of(anatomy, picture.lines, diagnosis, changes)
    sheet = _Sheet.of(picture, marks)
    lines = range(len(picture.lines))
    parts = [*sheet.legend(), *sheet.grounds(), *sheet.rails(), *(sheet.line(n) for n in lines)]
    svg = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="network" role="img" '
        'width="{w:.0f}" height="{h:.0f}" viewBox="0 0 {w:.0f} {h:.0f}">'
        "<title>{title}</title>{parts}</svg>"
    ).format(
        w=sheet.width,
        h=sheet.y(len(picture.lines)) - 4,
        title=say(
            "The network from its input at the top to its output: {layers}",
            layers=say_many("{number} layer", "{number} layers", len(anatomy.layers)),
        ),
        parts=Markup("\n").join(parts),
    )
    return NetworkFigure(
        svg,
        sum(bool(mark.severity) for mark in marks.values()),
        sum(bool(mark.treated) for mark in marks.values()),
    )


@final
@dataclass(frozen=True)
class _Sheet:
    """What is drawn, and where its columns begin."""

    picture: Picture
    marks: Mapping[int, Mark]
    name: float
    what: float
    shape: float
    mark: float
    width: float
    signs: tuple[tuple[str, float, int], ...]

    @classmethod
    def of(cls, picture: Picture, marks: Mapping[int, Mark]) -> Self:
        """Make room for the longest text of every column."""
        told = [(n, line) for n, line in enumerate(picture.lines) if line.style != "block"]
        heads = [line for line in picture.lines if line.style == "block"]
        name = LEFT + LANE * picture.layout.width + 4
        names = [(_length(line.name) + INDENT * line.depth, line.what) for _, line in told]
        what = name + GAP + max((length for length, what in names if what), default=0)
        alone = name + max((length for length, what in names if not what), default=0)
        shape = GAP + max(alone, what + max(_length(what) for _, what in names))
        mark = shape + GAP + max(_length(_size(picture, n)) for n, _ in told)
        needed = mark + max((_length(one.said) + GAP for one in marks.values()), default=0)
        title = name + max((_length(line.name) + INDENT * line.depth for line in heads), default=0)
        width = max(needed, title + GAP, NARROWEST)
        return cls(picture, marks, name, what, shape, mark, width, _legend(picture, width))

    def x(self, lane: int) -> float:
        """Return where a lane is."""
        return LEFT + LANE * lane

    def y(self, number: int) -> float:
        """Return the middle of a line."""
        rows = 1 + max((row for _, _, row in self.signs), default=-1)
        return ROW * (number + 0.9) + (LEGEND_ROW * rows + 10 if rows else 0)

    def legend(self) -> Iterator[Markup]:
        """Yield every sign that occurs, with what it stands for."""
        for style, x, row in self.signs:
            y = LEGEND_ROW * (row + 0.6)
            yield _sign(style, x, y)
            yield _text("size", x + 13, y, told(LEGEND[style]))

    def grounds(self) -> Iterator[Markup]:
        """Yield a ground under each block that repeats."""
        lines = self.picture.lines
        for number, line in enumerate(lines):
            if line.style != "block":
                continue
            end = number + 1
            while end < len(lines) and _inside(lines[end], line):
                end += 1
            left = self.name - 10 + INDENT * (line.depth - 1)
            yield Markup(
                '<rect class="block" x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="6"/>'
            ).format(
                x=left,
                y=self.y(number) - ROW / 2 + 1,
                w=self.width - left - 1 - 4 * (line.depth - 1),
                h=ROW * (end - number) - 2,
            )

    def rails(self) -> Iterator[Markup]:
        """Yield all rails, and the lines down from node to node, as one path."""
        layout = self.picture.layout
        ways = []
        for number, parent in enumerate(layout.parents):
            lane = layout.lanes[number]
            if parent is not None and lane is not None:
                ways.append(f"M{self.x(lane):g} {self.y(parent):g}V{self.y(number):g}")
        for rail in layout.rails:
            ways.extend(self._ways(rail))
        if ways:
            yield Markup('<path class="rail" d="{}"/>').format("".join(ways))

    def _ways(self, rail: Rail) -> Iterator[str]:
        """Yield the way of a value: out of its line, down its lane, and into every target."""
        lanes = self.picture.layout.lanes
        own = lanes[rail.source]
        assert own is not None
        x, start = self.x(rail.lane), f"M{self.x(own):g} {self.y(rail.source):g}"
        if rail.lane != own:
            turn = CORNER if rail.lane > own else -CORNER
            start += (
                f"v{ROW / 2 - CORNER:g}q0 {CORNER} {turn} {CORNER}"
                f"H{x - turn:g}q{turn} 0 {turn} {CORNER}"
            )
        yield f"{start}V{self.y(rail.targets[-1]) - CORNER:g}"
        for target in rail.targets:
            lane, y = lanes[target], self.y(target)
            assert lane is not None
            turn = CORNER if lane > rail.lane else -CORNER
            yield f"M{x:g} {y - CORNER:g}q0 {CORNER} {turn} {CORNER}H{self.x(lane):g}"

    def line(self, number: int) -> Markup:
        """Return the sign, the text and the mark of a line."""
        line, lane, y = (
            self.picture.lines[number],
            self.picture.layout.lanes[number],
            self.y(number),
        )
        name = self.name + INDENT * (line.depth - (line.style == "block"))
        if lane is None:
            return _text("title", name, y, line.name)
        mark, size = self.marks.get(number), _size(self.picture, number)
        parts = [
            _sign(line.style, self.x(lane), y, _tip(line, mark), mark),
            _text("name", name, y, line.name),
            _text("what", self.what, y, line.what),
            _text("size", self.shape, y, size),
        ]
        if mark is not None and mark.text:
            parts.append(_text(f"said {mark.severity}", self.mark, y, mark.text))
        if mark is not None and mark.treated:
            room = _length(f"{mark.text}; ") if mark.text else 0
            parts.append(_text("said treated", self.mark + room, y, mark.treated))
        return Markup("").join(parts)


def _sign(style: str, x: float, y: float, tip: str = "", mark: Mark | None = None) -> Markup:
    """Return a sign with its tip, the ring of a finding and the square of a treatment."""
    form = Markup('<g class="sign {s}" transform="translate({x:g} {y:g})">{tip}{sign}{around}</g>')
    severity = mark.severity if mark else ""
    ring = Markup('<circle r="10" class="mark {}"/>').format(severity) if severity else Markup("")
    square = Markup(SQUARE) if mark and mark.treated else Markup("")  # noqa: S704  # ours
    return form.format(
        s=style,
        x=x,
        y=y,
        tip=Markup("<title>{}</title>").format(tip) if tip else "",
        sign=Markup(SIGNS[style]),  # noqa: S704  # a constant of ours
        around=ring + square,
    )


def _text(kind: str, x: float, y: float, text: str) -> Markup:
    form = Markup('<text class="{k}" x="{x:g}" y="{y:g}">{t}</text>')
    return form.format(k=kind, x=x, y=y + 4.5, t=printable(text)) if text else Markup("")


def _length(text: str) -> float:
    return TEXT * len(printable(text))


def _size(picture: Picture, number: int) -> str:
    return "  ".join(part for part in (picture.lines[number].shape, picture.note(number)) if part)


def _tip(line: Line, mark: Mark | None) -> str:
    """Return the full path of the first node of a line, how many follow, and what is found."""
    if not line.nodes:
        return ""
    name = line.nodes[0].path or say("the network")
    if len(line.nodes) > 1:
        name = say("{name} and {more} more", name=name, more=len(line.nodes) - 1)
    return printable(f"{name}: {mark.said}" if mark else name)


def _inside(line: Line, block: Line) -> bool:
    """Whether a line that comes after the head of a block still belongs to it."""
    return line.depth > block.depth or (line.depth == block.depth and line.style != "block")


def _legend(picture: Picture, width: float) -> tuple[tuple[str, float, int], ...]:
    """Return each sign that occurs, with its place from the left and its row."""
    places: list[tuple[str, float, int]] = []
    x, row = float(LEFT), 0
    for style in picture.styles:
        if style in LEGEND:
            needed = 36 + _length(told(LEGEND[style]))
            if places and x + needed > width:
                x, row = float(LEFT), row + 1
            places.append((style, x, row))
            x += needed
    return tuple(places)
