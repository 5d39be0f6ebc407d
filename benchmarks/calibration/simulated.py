"""Simulated studies: how often equal arms are called better, and how often an effect is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from benchmarks.calibration.worlds import WORLDS, Values, World, stream
from numpy.typing import NDArray

from fitwell.studies.statistics import holm, paired_effect, sign_flip_p

SEEDS = (5, 8, 16, 30)
ARMS = (1, 3, 10)


@dataclass(frozen=True)
class Told:
    """What was said of every arm of many studies: arrays (studies, arms)."""

    p: Values
    flipped: Values
    gain: Values
    covered: NDArray[np.bool_]

    def verdicts(self, arms: int, *, confirmed: bool = False) -> Values:
        """Return 1 for helps, -1 for hurts, 0 for no evidence, with Holm's correction."""
        adjusted = np.array([holm(row) for row in self.p[:, :arms].tolist()])
        said = np.sign(self.gain[:, :arms]) * (adjusted <= 0.05)
        return said * (self.flipped[:, :arms] <= 0.05) if confirmed else said


def studied(world: World, seeds: int, gains: Values, studies: int, *, flips: bool) -> Told:
    """Judge many studies of arms with these gains, the untreated one first."""
    random = stream(world, seeds, len(gains))
    rows: list[list[tuple[float, float, float, bool]]] = []
    for _ in range(studies):
        (untreated, *treated), truth = world.draw(random, seeds, gains)
        row = []
        for scores, true in zip(treated, truth[1:], strict=True):
            effect = paired_effect(
                untreated.tolist(), scores.tolist(), higher_is_better=True, step=world.step
            )
            p = sign_flip_p((scores - untreated).tolist()) if flips else 0.0
            held = effect.low - 1e-12 <= true <= effect.high + 1e-12
            row.append((effect.p, p, effect.mean, held))
        rows.append(row)
    table = np.array(rows, dtype=float)
    return Told(table[..., 0], table[..., 1], table[..., 2], table[..., 3].astype(bool))


def effects(studies: int) -> Iterator[str]:
    """Tell how often equal arms are called better, and how often intervals hold the truth."""
    yield (
        "| scores | seeds | false helps: 1 arm · 3 · 10 | any false verdict: 1 · 3 · 10 "
        "| 95 % interval holds: equal arms · different |"
    )
    yield "|---|---|---|---|---|"
    for world in WORLDS:
        for seeds in SEEDS:
            equal = studied(world, seeds, np.zeros(1 + max(ARMS)), studies, flips=False)
            said = [equal.verdicts(arms) for arms in ARMS]
            helps = " · ".join(f"{100 * (v > 0).any(1).mean():.1f}" for v in said)
            wrong = " · ".join(f"{100 * (v != 0).any(1).mean():.1f}" for v in said)
            unlike = studied(world, seeds, np.array([0.0, 1, 2, 4]), studies, flips=False)
            held = f"{100 * equal.covered.mean():.1f} · {100 * unlike.covered.mean():.1f}"
            name = world.name if world.holds else f"*{world.name}*"
            yield f"| {name} | {seeds} | {helps} | {wrong} | {held} |"


def power(studies: int) -> Iterator[str]:
    """Tell how often an effect is found, by t alone and where sign flips must agree."""
    sizes = (0.5, 1.0, 1.5, 2.0, 3.0)
    yield (
        f"| scores | seeds | found: effect of {' · '.join(map(str, sizes))} "
        "| the same, if sign flips had to agree |"
    )
    yield "|---|---|---|---|"
    for world in WORLDS[:5]:
        for seeds in SEEDS:
            told = studied(world, seeds, np.array([0.0, *sizes]), max(2, studies // 4), flips=True)
            shares = []
            for confirmed in (False, True):
                found = (told.p <= 0.05) & (told.gain > 0)
                found &= (told.flipped <= 0.05) | (not confirmed)
                shares.append(" · ".join(f"{100 * share:.0f}" for share in found.mean(0)))
            yield f"| {world.name} | {seeds} | {shares[0]} | {shares[1] if seeds >= 8 else ''} |"
