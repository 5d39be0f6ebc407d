"""Simulated races: how often the best arm is dropped, and how soon one that is much worse."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from benchmarks.calibration.worlds import WORLDS, Values, World, stream
from scipy.stats import t as student

from fitwell.studies.statistics import beaten

LOOKS = range(3, 17)
"""Numbers of seeds at which a race looks."""


def races(studies: int) -> Iterator[str]:
    """Tell how often a race ever drops its best arm, looking after every seed up to 16."""
    yield (
        "| scores | arms | best dropped: all equal · others worse by 1 "
        "| the same by Student's t at each look | seeds until one worse by 5 is dropped (median) |"
    )
    yield "|---|---|---|---|---|"
    for world in WORLDS:
        for arms in (2, 8):
            equal = raced(world, np.zeros(arms), studies)
            led = raced(world, np.r_[1.0, np.zeros(arms - 1)], studies)
            apart = raced(world, np.r_[5.0, np.zeros(arms - 1)], max(1, studies // 10))
            lost = " · ".join(f"{100 * np.isfinite(r[0]).mean():.1f}" for r in (equal, led))
            by_t = " · ".join(f"{100 * race[2].mean():.1f}" for race in (equal, led))
            until = np.median(apart[1])
            name = world.name if world.holds else f"*{world.name}*"
            soon = f"{until:.0f}" if np.isfinite(until) else "more than 16"
            yield f"| {name} | {arms} | {lost} | {by_t} | {soon} |"


def raced(world: World, gains: Values, races: int) -> tuple[Values, Values, Values]:
    """Return when the first arm was dropped, when the second, and if t ever drops the first."""
    random = stream(world, len(gains), int(gains[0]))
    first, second, by_t = [], [], []
    for _ in range(races):
        scores, _ = world.draw(random, LOOKS[-1], gains)
        dropped = dict.fromkeys(range(len(gains)), np.inf)
        for seeds in LOOKS:
            seen = dict(enumerate(scores[:, :seeds].tolist()))
            for arm in beaten(seen, higher_is_better=True, step=world.step):
                dropped[arm] = min(dropped[arm], seeds)
        first.append(dropped[0])
        second.append(dropped[1])
        by_t.append(_dropped_by_t(scores[1:] - scores[0]))
    return np.array(first), np.array(second), np.array(by_t, dtype=float)


@cache
def _critical(others: int, seeds: int) -> float:
    return float(student.ppf(1 - 0.025 / others, seeds - 1))


def _dropped_by_t(losses: Values) -> bool:
    """Whether an interval for a fixed number of seeds, looked at each time, drops the first arm."""
    for seeds in LOOKS:
        seen = losses[:, :seeds]
        error = np.maximum(seen.std(1, ddof=1), 1e-12) / np.sqrt(seeds)
        if (seen.mean(1) > _critical(len(losses), seeds) * error).any():
            return True
    return False
