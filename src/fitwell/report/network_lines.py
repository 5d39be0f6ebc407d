"""A network drawn for a terminal: rails on the left, one line a node, coloured by role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from fitwell.records import Anatomy
from fitwell.records.drawing import GLYPHS, Row, columns, picture_of, rows_of
from fitwell.report.numbers import printable
from fitwell.words import say, told

STYLES = {
    "input": "bold",
    "layer": "bold cyan",
    "recurrent": "bold cyan",
    "activation": "green",
    "normalization": "magenta",
    "dropout": "yellow",
    "add": "bold blue",
    "gate": "bold red",
    "scaling": "bold red",
    "product": "bold bright_magenta",
    "attention": "bold bright_magenta",
    "join": "bold blue",
    "pooling": "blue",
    "output": "bold cyan",
}
LEGEND = {
    "layer": say("layer"),
    "recurrent": say("recurrent"),
    "activation": say("activation"),
    "normalization": say("normalisation"),
    "dropout": say("dropout"),
    "add": say("add"),
    "gate": say("gate"),
    "scaling": say("multiply"),
    "product": say("matrix product"),
    "attention": say("attention"),
    "join": say("joins branches"),
    "pooling": say("resampling"),
    "output": say("output layer"),
}
"""What the signs stand for; the input says so itself."""

NARROWEST = 16
"""No column is made narrower than this, whatever the terminal."""

GAP = 2


@final
@dataclass(frozen=True)
class NetworkLines:
    """The picture of a network; names are shortened where the terminal is narrow."""

    anatomy: Anatomy

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self.anatomy.nodes:
            yield Text(say("Nothing of the network was recorded."), style="dim")
            return
        picture = picture_of(self.anatomy)
        rows = rows_of(picture)
        widths = _Widths.of(rows, options.max_width)
        for row in rows:
            yield _line(row, widths)
        signs = [f"{GLYPHS[s]} {told(LEGEND[s])}" for s in picture.styles if s in LEGEND]
        unbroken = [sign.replace(" ", "\u00a0") for sign in signs]
        yield Text("\n" + "  ".join(unbroken), style="dim")


@final
@dataclass(frozen=True)
class _Widths:
    """Widths of the columns: ``told`` is that of names and descriptions together."""

    gutter: int
    name: int
    told: int

    @classmethod
    def of(cls, rows: list[Row], room: int) -> Self:
        """Fit the columns into a terminal, at the expense of the names first."""
        name, told = columns(rows)
        gutter = max(len(row.gutter) for row in rows)
        sizes = max(len(row.size) for row in rows)
        excess = max(0, gutter + told + sizes + 2 * GAP - room)
        shorter = max(min(name, NARROWEST), name - excess)
        least = shorter + GAP + min(NARROWEST, told - name - GAP)
        return cls(gutter, shorter, max(least, told - excess))


def _line(row: Row, widths: _Widths) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    line = row.line
    style = STYLES.get(line.style, "") if line is not None else ""
    for sign in row.gutter:
        text.append(sign, style=style if line is not None and sign == line.glyph else "dim")
    text.append(" " * (widths.gutter - len(row.gutter) + GAP))
    text.append(row.bracket, style="dim")
    if line is None:
        return text
    if line.style == "block":
        text.append(printable(line.name), style="bold")
        return text
    begin = widths.gutter + GAP
    room = (widths.name if row.what else widths.told) - len(row.bracket)
    text.append(_shortened(printable(line.name), room))
    if row.what:
        text.pad_right(begin + widths.name + GAP - text.cell_len)
        text.append(_cut(printable(row.what), widths.told - widths.name - GAP), style=style)
    if row.size:
        text.pad_right(begin + widths.told + GAP - text.cell_len)
        text.append(printable(row.size), style="dim")
    return text


def _shortened(name: str, room: int) -> str:
    """Shorten a path from its beginning, and ``"function (in path)"`` from its end."""
    if len(name) <= room or "(in " in name:
        return _cut(name, room)
    return f"…{name[len(name) - room + 1 :]}"


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"
