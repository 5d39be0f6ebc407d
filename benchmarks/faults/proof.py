"""Whether a fault is one: the outcome of a sick run next to its repaired twin, over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from benchmarks.faults.case import Case
from benchmarks.faults.data import TRACES
from benchmarks.faults.reading import outcomes
from benchmarks.faults.recording import SEEDS, is_stale, path_of, twin_of

T_975 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36}
"""Quantiles of Student's t for so many pairs."""

WORST = 1e6
"""What a loss that is not finite counts as: worse than any."""

MOST = 3.0
"""A loss 20 times as large, or more, counts as this: one run that diverged further than the others
is no reason to doubt them."""


@final
@dataclass(frozen=True)
class Proof:
    """The loss by a fault, over pairs of runs of the same seed.

    Args:
        case: Name of the sick case.
        outcome: Name of the number.
        sick: Its mean with the fault.
        repaired: Its mean without.
        harm: Mean of the paired differences, positive if the fault harms: natural logarithms of
            losses, at most :data:`MOST`; accuracies as they are.
        low: Lower end of its 95 % interval.
        pairs: Number of pairs.
    """

    case: str
    outcome: str
    sick: float
    repaired: float
    harm: float
    low: float
    pairs: int

    @property
    def proven(self) -> bool:
        """Whether the interval lies above zero."""
        return self.pairs >= 3 and self.low > 0


def prove(case: Case, *, root: Path = TRACES) -> Proof | None:
    """Compare a sick case with its twin; None where fewer than two pairs are recorded."""
    twin = twin_of(case)
    pairs = [
        (_number(sick, case.outcome), _number(repaired, case.outcome))
        for seed in range(SEEDS)
        if (sick := _fresh(case, seed, root)) is not None
        and (repaired := _fresh(twin, seed, root)) is not None
    ]
    if len(pairs) < 2:
        return None
    harms = [_harm(*pair, case.outcome) for pair in pairs]
    mean = sum(harms) / len(harms)
    deviation = math.sqrt(sum((h - mean) ** 2 for h in harms) / (len(harms) - 1))
    low = mean - T_975[len(harms)] * deviation / math.sqrt(len(harms))
    sick, repaired = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
    return Proof(case.name, case.outcome, sick, repaired, mean, low, len(pairs))


def _fresh(case: Case, seed: int, root: Path) -> Mapping[str, float] | None:
    """The outcome of a run, if it is recorded and the code has not changed since."""
    path = path_of(case, seed, root)
    return None if is_stale(case, path) else outcomes(path)


def _number(outcome: Mapping[str, float], name: str) -> float:
    """The number of a run; the worst there is where it ended by an exception or is not finite."""
    worst = WORST if name.endswith("loss") else 0.0
    value = outcome.get(name, worst)
    return min(value, WORST) if math.isfinite(value) else worst


def _harm(sick: float, repaired: float, name: str) -> float:
    if name.endswith("loss"):
        ratio = math.log(max(sick, 1e-9)) - math.log(max(repaired, 1e-9))
        return max(-MOST, min(MOST, ratio))
    return repaired - sick
