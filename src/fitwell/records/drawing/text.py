"""A picture as lines of text, with a gutter of rails as version control draws its history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from fitwell.records.drawing.picture import Line, Picture, picture_of
from fitwell.records.drawing.rails import Rail
from fitwell.records.network import Anatomy

WIDEST_COLUMN = 64
"""Columns are not made wider than this for the sake of a few long names."""

GAP = "  "


@final
@dataclass(frozen=True)
class Row:
    """One row of text.

    Args:
        gutter: Rails and the sign of the node.
        bracket: Marks of the blocks that it stands in.
        line: What the row tells; None for a row of rails alone.
        note: What it takes besides.
    """

    gutter: str
    bracket: str
    line: Line | None
    note: str = ""

    @property
    def name(self) -> str:
        """The brackets of its blocks, and its name."""
        return self.bracket + (self.line.name if self.line else "")

    @property
    def what(self) -> str:
        """What the node is, with its sizes."""
        return self.line.what if self.line else ""

    @property
    def size(self) -> str:
        """The shape of the output, and what the node takes besides."""
        shape = self.line.shape if self.line else ""
        return GAP.join(part for part in (shape, self.note) if part)


def text_of(anatomy: Anatomy) -> str:
    """Return the picture of a network as plain text."""
    if not anatomy.nodes:
        return "nothing was recorded"
    rows = rows_of(picture_of(anatomy))
    gutter = max(len(row.gutter) for row in rows)
    names, told = columns(rows)
    names, told = min(names, WIDEST_COLUMN), min(told, 2 * WIDEST_COLUMN)
    lines = []
    for row in rows:
        text = f"{row.gutter:<{gutter}}{GAP}{row.name:<{names if row.what else 0}}"
        text += f"{GAP}{row.what}" if row.what else ""
        if row.size:
            text = f"{text:<{gutter + len(GAP) + told}}{GAP}{row.size}"
        lines.append(text.rstrip())
    return "\n".join(lines)


def columns(rows: Sequence[Row]) -> tuple[int, int]:
    """Return the width of the names, and the width of names and descriptions together.

    A name without a description, such as that of a function, takes the room of both.
    """
    nodes = [row for row in rows if row.line is not None and row.line.style != "block"]
    names = max((len(row.name) for row in nodes if row.what), default=0)
    both = max((len(row.what) for row in nodes if row.what), default=0) + len(GAP)
    alone = max((len(row.name) for row in nodes if not row.what), default=0)
    return names, max(names + both, alone)


def rows_of(picture: Picture) -> list[Row]:
    """Return the rows of a picture: one a line, and one under each line that branches."""
    layout = picture.layout
    by_target: dict[int, list[Rail]] = {}
    branching: dict[int, Rail] = {}
    for rail in layout.rails:
        for target in rail.targets:
            by_target.setdefault(target, []).append(rail)
        if rail.lane != layout.lanes[rail.source]:
            branching[rail.source] = rail
    children = {parent: n for n, parent in enumerate(layout.parents) if parent is not None}

    def ends(rail: Rail) -> int:
        """Return the line at which the lane of a rail carries its value no further."""
        on = children.get(rail.source, 0) if rail.lane == layout.lanes[rail.source] else 0
        return max(on, rail.targets[-1])

    running = _running(picture)
    brackets = _brackets(picture)
    rows = []
    for number, line in enumerate(picture.lines):
        cells = dict.fromkeys(running[number], "│")
        lane = layout.lanes[number]
        if lane is not None:
            arriving = [(rail, number == ends(rail)) for rail in by_target.get(number, [])]
            _arrive(cells, lane, arriving, line.glyph)
        rows.append(Row(_joined(cells), brackets[number], line, picture.note(number)))
        if lane is not None and number in branching:
            under = {other: "│" for other in running[number] if other in running[number + 1]}
            _leave(under, lane, branching[number].lane)
            inside = number + 1 < len(brackets) and picture.lines[number + 1].depth
            kept = brackets[number].replace("⎣", " ").replace("⎡", "⎢") if inside else ""
            rows.append(Row(_joined(under), kept.rstrip(), None))
    return rows


def _running(picture: Picture) -> list[set[int]]:
    """Return which lanes a value runs down, at every line and past it."""
    layout = picture.layout
    running: list[set[int]] = [set() for _ in range(len(picture.lines) + 1)]
    spans = [(r.source, r.targets[-1], r.lane) for r in layout.rails]
    for number, parent in enumerate(layout.parents):
        lane = layout.lanes[number]
        if parent is not None and lane is not None:
            spans.append((parent, number, lane))
    for first, last, lane in spans:
        for number in range(first + 1, last + 1):
            running[number].add(lane)
    return running


def _arrive(
    cells: dict[int, str], lane: int, arriving: list[tuple[Rail, bool]], glyph: str
) -> None:
    """Draw the sign of a line, and the rails that come to it; each with whether it ends there."""
    cells[lane] = glyph
    for side in (1, -1):
        there = {rail.lane: last for rail, last in arriving if (rail.lane - lane) * side > 0}
        far = max(there, key=lambda other: other * side, default=lane)
        for other, last in there.items():
            cells[other] = _junction(side, last=last, outermost=other == far)
        _across(cells, lane, far)


def _junction(side: int, *, last: bool, outermost: bool) -> str:
    if not outermost:
        return "┴" if last else "┼"
    if side > 0:
        return "╯" if last else "┤"
    return "╰" if last else "├"


def _leave(cells: dict[int, str], lane: int, rail: int) -> None:
    """Draw a rail that begins under a line."""
    right = rail > lane
    cells[lane] = "├" if right else "┤"
    cells[rail] = "╮" if right else "╭"
    _across(cells, lane, rail)


def _across(cells: dict[int, str], here: int, there: int) -> None:
    """Draw a way across; what runs down between is passed under."""
    low, high = sorted((here, there))
    for lane in range(low, high):
        cells.setdefault(lane, "─")
        cells[lane] += "─"


def _joined(cells: dict[int, str]) -> str:
    width = max(cells, default=-1) + 1
    return "".join(f"{cells.get(lane, ''):<2}" for lane in range(width)).rstrip()


def _brackets(picture: Picture) -> list[str]:
    """Return the marks of the blocks that each line stands in."""
    found = []
    for number, line in enumerate(picture.lines):
        follows = picture.lines[number + 1 :][:1]
        after = follows[0].depth - (follows[0].style == "block") if follows else 0
        marks = "".join(
            "⎣ " if after <= level and line.style != "block" else "⎢ "
            for level in range(line.depth)
        )
        found.append(f"{marks[:-2]}⎡ " if line.style == "block" else marks)
    return found
