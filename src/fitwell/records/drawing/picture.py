"""A network as lines and rails, ready to be drawn by a terminal or a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import final

from fitwell.records.drawing.folding import INPUT, Folded, folded
from fitwell.records.drawing.labels import (
    GLYPHS,
    name_of,
    relative,
    shape_of,
    style_of,
    what_of,
)
from fitwell.records.drawing.rails import Layout, laid_out
from fitwell.records.drawing.repeats import Block, Item, blocks_in, common_path, numbered
from fitwell.records.network import Anatomy, Node


@final
@dataclass(frozen=True)
class Line:
    """One line of a picture: the input, a node, or the head of a block that repeats.

    Args:
        style: What kind of line it is: a key of :data:`GLYPHS`, or ``"block"``.
        name: Path of the module, or ``"function (in path)"``; inside a block as seen from it,
            with a leading dot.
        what: What it is, with its sizes.
        shape: Shape of its output without the batch.
        depth: In how many blocks it stands; the head of a block stands in it.
        nodes: All nodes that it stands for.
    """

    style: str
    name: str
    what: str = ""
    shape: str = ""
    depth: int = 0
    nodes: tuple[Node, ...] = ()

    @property
    def glyph(self) -> str:
        """Its sign; "" for the head of a block."""
        return GLYPHS.get(self.style, "")


@final
@dataclass(frozen=True)
class Picture:
    """A network drawn from top to bottom.

    Args:
        lines: Its lines, in the order in which the nodes ran.
        sources: For each line the lines that it takes from; None for the head of a block.
        layout: Where lines and rails stand.
    """

    lines: tuple[Line, ...]
    sources: tuple[tuple[int, ...] | None, ...]
    layout: Layout

    @property
    def styles(self) -> tuple[str, ...]:
        """The kinds of line that occur, in the order of :data:`GLYPHS`."""
        found = {line.style for line in self.lines}
        return tuple(style for style in GLYPHS if style in found)

    def note(self, line: int) -> str:
        """Return what a line takes besides, where there was no room for a rail; or ""."""
        names = Counter(self.lines[source].name for source in self.layout.untold.get(line, ()))
        told = [f"{name} × {n}" if n > 1 else name for name, n in names.items()]
        more = f" and {len(told) - 3} more" if len(told) > 3 else ""
        return f"also from {', '.join(told[:3])}{more}" if told else ""


def picture_of(anatomy: Anatomy) -> Picture:
    """Draw a network: fold, find the blocks that repeat, and lay out lines and rails."""
    found = folded(anatomy)
    items = blocks_in(found)
    drawn = _representatives(found, items)
    heads = {layer.index for layer in anatomy.output_layers}
    lines = [Line("input", "input")]
    sources: list[tuple[int, ...] | None] = [()]
    at: dict[int, int] = {INPUT: 0}
    stands_for: dict[int, list[Node]] = {}
    for place, node in enumerate(found.nodes):
        stands_for.setdefault(drawn[place], []).append(node)
    for item, within, depth in _flat(found, items):
        if isinstance(item, Block):
            lines.append(Line("block", _title(found.nodes, item, within), depth=depth))
            sources.append(None)
            continue
        node = found.nodes[item]
        at[item] = len(lines)
        taken = (source if source == INPUT else drawn[source] for source in found.sources[item])
        sources.append(tuple(dict.fromkeys(at[source] for source in taken)))
        lines.append(
            Line(
                style_of(node, head=node.index in heads),
                name_of(node, within),
                what_of(node, within),
                shape_of(node),
                depth,
                tuple(stands_for[item]),
            )
        )
    return Picture(tuple(lines), tuple(sources), laid_out(sources))


def _flat(
    found: Folded, items: Iterable[Item], within: str = "", depth: int = 0
) -> Iterator[tuple[Item, str, int]]:
    """Yield nodes and heads of blocks, with the path and depth of the block they stand in."""
    for item in items:
        if isinstance(item, Block):
            yield item, within, depth + 1
            home = common_path(item.run(found.nodes, 0))
            inner = home if numbered(home) else within
            yield from _flat(found, item.items, inner, depth + 1)
        else:
            yield item, within, depth


def _representatives(found: Folded, items: Iterable[Item]) -> list[int]:
    """Return for each place the one that is drawn in its stead: in the first run of its block."""
    drawn = list(range(len(found.nodes)))

    def note(inner: Iterable[Item]) -> None:
        for item in inner:
            if isinstance(item, Block):
                note(item.items)
                for place in range(item.first + item.period, item.end):
                    drawn[place] = drawn[place - item.period]

    note(items)
    return drawn


def _title(nodes: tuple[Node, ...], block: Block, within: str) -> str:
    """Return ``"× 12 (decoder.h.0 to h.11)"``."""
    first, last = block.run(nodes, 0), block.run(nodes, -1)
    begin, end = common_path(first), common_path(last)
    if begin == end or not numbered(begin):
        pairs = zip(first, last, strict=True)
        apart = [(one.path, other.path) for one, other in pairs if one.path != other.path]
        if not apart:
            what = "calls" if all(node.functional for node in first) else "modules"
            return f"× {block.count} (the same {what} each time)"
        begin, end = apart[0][0], apart[-1][1]
    return f"× {block.count} ({relative(begin, within)} to {_other_end(begin, end)})"


def _other_end(begin: str, end: str) -> str:
    """Return where a range of paths ends, without what both ends have in common before a name."""
    one, other = begin.split("."), end.split(".")
    same = next((n for n, pair in enumerate(zip(one, other, strict=False)) if len({*pair}) > 1), 1)
    return ".".join(other[max(same - 1, 0) :])
