"""Times of arms that take turns, and what else the machine did meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TypeAlias, final

from benchmarks.main_job import family

Arm: TypeAlias = Callable[[], float]
"""Does its work and returns how much of it was done: runs, as a rule."""
TICKS = os.sysconf("SC_CLK_TCK")


@final
@dataclass(frozen=True)
class Spread:
    """A median, and the smallest and largest value."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value."""
        return median(self.values)

    def __str__(self) -> str:
        return f"{figure(self.median)} ({figure(min(self.values))} to {figure(max(self.values))})"


@final
@dataclass
class Taken:
    """What an arm took, a turn at a time.

    Args:
        wall: Seconds for a unit of its work.
        cpu: CPU seconds for a unit of its work, over this process and all that came of it.
        others: CPU seconds that everything else used, for each second of the turn.
    """

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)


def take_turns(arms: Mapping[str, Arm], repeats: int, *, warm: bool = True) -> dict[str, Taken]:
    """Let the arms work in turns, in rising and falling order, and return what each turn took."""
    found = {name: Taken() for name in arms}
    if warm:
        for arm in arms.values():
            arm()
    for turn in range(repeats):
        order = list(arms) if turn % 2 == 0 else list(reversed(arms))
        for name in order:
            own, all_before, began = own_seconds(), busy_seconds(), time.perf_counter()
            work = arms[name]()
            wall = time.perf_counter() - began
            cpu = own_seconds() - own
            found[name].wall.append(wall / work)
            found[name].cpu.append(cpu / work)
            found[name].others.append(max(0.0, busy_seconds() - all_before - cpu) / wall)
    return found


def ratio(slow: Sequence[float], quick: Sequence[float]) -> Spread:
    """Return how many times as long the first took, turn by turn."""
    return Spread(tuple(a / b for a, b in zip(slow, quick, strict=True)))


def own_seconds() -> float:
    """Return the CPU seconds of this process, of all that came of it, and of those gone."""
    total = 0
    for pid in family(os.getpid()):
        try:
            values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(int(value) for value in values[11:15])  # utime, stime, and of children gone
    return total / TICKS


def busy_seconds() -> float:
    """Return the CPU seconds that the machine was busy, or taken from it, since it started."""
    values = [int(v) for v in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(values) - values[3] - values[4]) / TICKS


def figure(value: float) -> str:
    """Return a number with three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def others(found: Mapping[str, Taken]) -> str:
    """Say how busy something else kept the machine: median over all turns."""
    return f"{median(v for taken in found.values() for v in taken.others):.1f}"
