"""Where every line and every rail of a picture stands, so that no two run over each other."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

MOST_LANES = 16
"""Rails that would stand further right are named in words."""


@final
@dataclass(frozen=True)
class Rail:
    """A value on its way to those that take it, besides the line right under it.

    Args:
        source: Line that puts it out.
        lane: Where it runs down: the lane of its source, or one of its own.
        targets: Lines that take it from there, in order.
    """

    source: int
    lane: int
    targets: tuple[int, ...]


@final
@dataclass(frozen=True)
class Layout:
    """The lanes of a picture.

    Args:
        lanes: Lane of each line; None for one that is no node.
        parents: The line that each continues, straight down the same lane; None if none.
        rails: All other edges.
        untold: Sources of a line for which there was no room.
        width: How many lanes there are.
    """

    lanes: tuple[int | None, ...]
    parents: tuple[int | None, ...]
    rails: tuple[Rail, ...]
    untold: Mapping[int, tuple[int, ...]]
    width: int


def laid_out(sources: Sequence[Sequence[int] | None]) -> Layout:
    """Lay out lines that take from earlier ones; None stands for a line that is no node.

    Each line continues one of its sources where it can: the trunk stays on the left. What else
    branches off gets a rail; of rails that end together the inner one began last.
    """
    consumers: dict[int, list[int]] = {}
    for line, taken in enumerate(sources):
        for source in taken or ():
            consumers.setdefault(source, []).append(line)
    parents = _parents(sources, consumers)
    children = {parent: line for line, parent in enumerate(parents) if parent is not None}
    space = _Space()
    lanes = _lanes(sources, parents, children, consumers, space)
    rails: list[Rail] = []
    branching: list[tuple[int, tuple[int, ...]]] = []
    for source, fed in consumers.items():
        child = children.get(source, len(sources))
        here = tuple(line for line in fed if line < child)
        beyond = tuple(line for line in fed if line > child)
        lane = lanes[source]
        if here and lane is not None:
            rails.append(Rail(source, lane, here))
        if beyond:
            branching.append((source, beyond))
    untold: dict[int, list[int]] = {}
    for source, beyond in sorted(branching, key=lambda one: (one[1][-1], -one[0])):
        own = lanes[source]
        assert own is not None
        lane = space.take(source + 1, beyond[-1], above=own, below=MOST_LANES)
        if lane is None:
            for line in beyond:
                untold.setdefault(line, []).append(source)
        else:
            rails.append(Rail(source, lane, beyond))
    told = {line: tuple(left_out) for line, left_out in untold.items()}
    return Layout(tuple(lanes), tuple(parents), tuple(rails), told, space.width)


def _parents(
    sources: Sequence[Sequence[int] | None], consumers: Mapping[int, Sequence[int]]
) -> list[int | None]:
    """Choose the source that each line continues: of the oldest chain that leads as far."""
    reach = list(range(len(sources)))
    for line in reversed(range(len(sources))):
        reach[line] = max((reach[taker] for taker in consumers.get(line, ())), default=line)
    parents: list[int | None] = []
    heads: list[int] = []
    taken: set[int] = set()
    for line, given in enumerate(sources):
        free = [
            source for source in given or () if source not in taken and reach[source] == reach[line]
        ]
        parent = min(free, key=lambda source: heads[source]) if free else None
        parents.append(parent)
        heads.append(line if parent is None else heads[parent])
        if parent is not None:
            taken.add(parent)
    return parents


def _lanes(
    sources: Sequence[Sequence[int] | None],
    parents: Sequence[int | None],
    children: Mapping[int, int],
    consumers: Mapping[int, Sequence[int]],
    space: _Space,
) -> list[int | None]:
    """Give each chain of lines a lane, from where it begins to where its last value is taken."""
    lanes: list[int | None] = [None] * len(sources)
    for line, given in enumerate(sources):
        parent = parents[line]
        if given is None:
            continue
        if parent is not None:
            lanes[line] = lanes[parent]
            continue
        last = line
        while last in children:
            last = children[last]
        # Under a line that leads nowhere one is left free: the next there does not continue it.
        end = max(consumers.get(last, (last + 1,)))
        lanes[line] = space.take(line, end)
    return lanes


@final
class _Space:
    """Which lanes are free from line to line."""

    def __init__(self) -> None:
        self._taken: list[list[tuple[int, int]]] = []

    @property
    def width(self) -> int:
        return len(self._taken)

    def take(
        self, first: int, last: int, *, above: int = -1, below: int | None = None
    ) -> int | None:
        """Take the first lane to the right of ``above`` that is free, or None from ``below`` on."""
        lane = above + 1
        while below is None or lane < below:
            while lane >= len(self._taken):
                self._taken.append([])
            if self._free(lane, first, last):
                insort(self._taken[lane], (first, last))
                return lane
            lane += 1
        return None

    def _free(self, lane: int, first: int, last: int) -> bool:
        taken = self._taken[lane]
        place = bisect_left(taken, (first, last))
        before_ends = place == 0 or taken[place - 1][1] < first
        after_begins = place == len(taken) or taken[place][0] > last
        return before_ends and after_begins
