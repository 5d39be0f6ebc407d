"""Find blocks that repeat, such as the layers of a transformer, so that one stands for all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias, final

from fitwell.records.drawing.folding import Folded
from fitwell.records.network import Node, Role

LEAST_SAVED = 4
"""Lines that a block must save to be drawn once: three times a layer with its activation."""

LONGEST = 512
"""Most nodes of a block that repeats."""

_NUMBER = re.compile(r"(?:(?<=\.)|^)\d+(?=\.|$)")


@final
@dataclass(frozen=True)
class Block:
    """A sequence of nodes that follows itself.

    Args:
        first: Place of its first node.
        period: How many nodes it has.
        count: How often it runs.
        items: Its nodes, by place, and the blocks in it.
    """

    first: int
    period: int
    count: int
    items: tuple[Item, ...]

    @property
    def end(self) -> int:
        """Place behind the last node of its last run."""
        return self.first + self.period * self.count

    def run(self, nodes: tuple[Node, ...], number: int) -> tuple[Node, ...]:
        """Return the nodes of one run."""
        start = self.first + (number % self.count) * self.period
        return nodes[start : start + self.period]


Item: TypeAlias = int | Block


@final
@dataclass(frozen=True)
class _Stretch:
    """Places at which a node is like the one a period later: from ``first`` to before ``end``."""

    first: int
    end: int
    period: int


def blocks_in(folded: Folded) -> tuple[Item, ...]:
    """Return the drawn nodes by place, those of repeated blocks within a block.

    Runs of a block have the same modules but for the numbers in their paths, the same sizes and
    shapes, and the same edges: inside, from the run before, and from what came before the first.
    """
    return _Search(folded).within(0, len(folded.nodes))


def common_path(nodes: tuple[Node, ...]) -> str:
    """Return the path of the innermost module that all nodes are in or are."""
    parts = [node.path.split(".") for node in nodes]
    shared: list[str] = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return ".".join(shared)


def numbered(path: str) -> bool:
    """Whether a path ends in the number of a sibling, as ``"encoder.layer.3"``."""
    return path.rpartition(".")[2].isdigit()


def _token(node: Node) -> tuple[object, ...]:
    """Return all that nodes of two runs must have in common."""
    used = tuple(_NUMBER.sub("#", name) for name in node.parameters)
    settings = repr(sorted(node.settings.items()))
    kind = (_NUMBER.sub("#", node.path), node.kind, node.role, node.functional)
    return (*kind, node.shape[1:], settings, used)


class _Search:
    def __init__(self, folded: Folded) -> None:
        self._nodes, self._sources = folded.nodes, folded.sources
        known: dict[tuple[object, ...], int] = {}
        self._tokens = [known.setdefault(_token(n), len(known)) for n in folded.nodes]
        self._consumers: list[list[int]] = [[] for _ in folded.nodes]
        for place, sources in enumerate(folded.sources):
            for source in sources:
                if source >= 0:
                    self._consumers[source].append(place)
        self._stretches = [
            stretch
            for period in range(1, min(len(folded.nodes) // 2, LONGEST) + 1)
            for stretch in self._alike(period)
        ]

    def _alike(self, period: int) -> list[_Stretch]:
        """Return where nodes are like those a period later, for a whole period at least."""
        tokens, found, first = self._tokens, [], None
        for place in range(len(tokens) - period + 1):
            inside = place < len(tokens) - period
            if inside and tokens[place] == tokens[place + period]:
                first = place if first is None else first
                continue
            if first is not None and place - first >= period:
                found.append(_Stretch(first, place, period))
            first = None
        return found

    def within(self, start: int, end: int) -> tuple[Item, ...]:
        """Return the items of a part of the network; the block that covers most comes first."""
        block = self._best(start, end)
        if block is None:
            return tuple(range(start, end))
        return (
            *self.within(start, block.first),
            Block(
                block.first,
                block.period,
                block.count,
                self.within(block.first, block.first + block.period),
            ),
            *self.within(block.end, end),
        )

    def _best(self, start: int, end: int) -> Block | None:
        inside = [
            _Stretch(max(s.first, start), min(s.end, end - s.period), s.period)
            for s in self._stretches
            if s.first < end and s.end > start
        ]
        for stretch in sorted(inside, key=_preference):
            count = (stretch.end - stretch.first) // stretch.period + 1
            if (count - 1) * stretch.period < LEAST_SAVED:
                continue
            first = self._opening(stretch)
            for skipped in (0, 1):  # the first run may be wired in another way
                where = first + skipped * stretch.period
                real = self._real(where, stretch.period, count - skipped)
                if (real - 1) * stretch.period >= LEAST_SAVED:
                    return Block(where, stretch.period, real, ())
        return None

    def _opening(self, stretch: _Stretch) -> int:
        """Return where the first run begins: with a numbered module, or else with a layer."""
        spare = (stretch.end - stretch.first) % stretch.period
        starts = range(stretch.first, stretch.first + spare + 1)
        for start in starts:
            if numbered(common_path(self._nodes[start : start + stretch.period])):
                return start
        layers = (s for s in starts if self._nodes[s].role in (Role.LAYER, Role.RECURRENT))
        return next(layers, stretch.first)

    def _real(self, first: int, period: int, count: int) -> int:
        """Return how many of the runs are wired alike and can be drawn as one; at least 1."""
        if count < 2 or not self._begins_like(first, period):
            return 1
        alike = 2
        while alike < count and self._goes_on(first, first + alike * period, period):
            alike += 1
        return self._without_taps(first, period, alike)

    def _goes_on(self, first: int, start: int, period: int) -> bool:
        """Whether a run is wired like the one before it.

        A source in the run or in the one before moves with it; any other is the same, and came
        before the first run.
        """
        for place in range(start, start + period):
            mine, theirs = self._sources[place], self._sources[place - period]
            if len(mine) != len(theirs):
                return False
            for source, other in zip(mine, theirs, strict=True):
                near = source >= start - period
                if other != (source - period if near else source) or (first <= source and not near):
                    return False
        return True

    def _begins_like(self, first: int, period: int) -> bool:
        """Whether the first run is wired like the second, but for where it begins from."""
        stands_for: dict[int, int] = {}
        second = first + period
        for place in range(first, second):
            mine, theirs = self._sources[place], self._sources[place + period]
            if len(mine) != len(theirs):
                return False
            for source, other in zip(mine, theirs, strict=True):
                if first <= other < second:  # from the run before: the first has something else
                    if source >= first or stands_for.setdefault(other, source) != source:
                        return False
                elif source != (other - period if other >= second else other):
                    return False
        return True

    def _without_taps(self, first: int, period: int, count: int) -> int:
        """Cut the runs behind one that feeds something later which not all runs feed."""
        while count > 1:
            run = self._tapped(first, period, count)
            if run is None:
                break
            count = run + 1
        return count

    def _tapped(self, first: int, period: int, count: int) -> int | None:
        """Return the first run with an output taken behind all runs, unlike that of the others."""
        last = first + (count - 1) * period
        behind = last + period
        later = [[c for c in self._consumers[n] if c >= behind] for n in range(first, behind)]
        for place in range(len(later) - period):
            of_first, of_last = later[place % period], later[place % period - period]
            if later[place] != of_first or not set(later[place]) <= set(of_last):
                return place // period
        return None


def _preference(stretch: _Stretch) -> tuple[int, int, int]:
    runs = (stretch.end - stretch.first) // stretch.period + 1
    return (-runs * stretch.period, stretch.period, stretch.first)
