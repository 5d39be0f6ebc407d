"""Scores of which the truth is known: what runs of equal and of unlike arms may look like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[np.float64]
Draw: TypeAlias = Callable[[np.random.Generator, int, Values], tuple[Values, Values]]
NOISE = 0.01
"""Deviation of one run's score, where the generator has one."""


@dataclass(frozen=True)
class World:
    """Makes scores of which the truth is known.

    Args:
        name: What the scores are like.
        draw: Random numbers, seeds, and one effect an arm -> scores (arms, seeds), true gains.
        step: Smallest difference that a score can show.
        holds: Whether the promise of the intervals is meant to hold here.
    """

    name: str
    draw: Draw
    step: float = 0.0
    holds: bool = True


def shifted(noise: Callable[[np.random.Generator, tuple[int, int]], Values]) -> Draw:
    """Scores of seeds that are easy or hard for all arms, with noise of that kind in every run."""

    def draw(random: np.random.Generator, seeds: int, gains: Values) -> tuple[Values, Values]:
        shared = NOISE * random.normal(size=(1, seeds))
        scores = 0.8 + shared + gains[:, None] * NOISE + NOISE * noise(random, (len(gains), seeds))
        return scores, (gains - gains[0]) * NOISE

    return draw


def hits(rows: int, right: float) -> Draw:
    """Accuracies on few test rows, shared by all runs: most are sure, some could go either way.

    A gain makes up for that share of what an arm gets wrong. The truth is that of these rows.
    """

    def draw(random: np.random.Generator, seeds: int, gains: Values) -> tuple[Values, Values]:
        chance = random.beta(right, 1 - right, size=rows)
        arms = chance + (1 - chance) * 0.2 * gains[:, None]
        scores = (random.random((len(gains), seeds, rows)) < arms[:, None]).mean(2)
        return scores, arms.mean(1) - arms[0].mean()

    return draw


def diverging(random: np.random.Generator, seeds: int, gains: Values) -> tuple[Values, Values]:
    """One run in ten ends at chance, in every arm."""
    lost = random.random((len(gains), seeds)) < 0.1
    fine = 0.8 + gains[:, None] * NOISE + NOISE * random.normal(size=lost.shape)
    return np.where(lost, 0.1, fine), 0.9 * (gains - gains[0]) * NOISE


def treated_diverging(
    random: np.random.Generator, seeds: int, gains: Values
) -> tuple[Values, Values]:
    """One treated run in ten ends at chance, none of the untreated; the others make up for it."""
    lost = random.random((len(gains), seeds)) < 0.1
    lost[0] = False
    level = np.where(np.arange(len(gains)) == 0, 0.8, (0.8 - 0.1 * 0.1) / 0.9) + gains * NOISE
    scores = np.where(lost, 0.1, level[:, None] + NOISE * random.normal(size=lost.shape))
    share = np.where(np.arange(len(gains)) == 0, 1.0, 0.9)
    return scores, share * gains * NOISE - gains[0] * NOISE


def treated_skewed(random: np.random.Generator, seeds: int, gains: Values) -> tuple[Values, Values]:
    """The untreated runs scatter little; the treated are seldom far below their mean."""
    noise = 1 - random.exponential(size=(len(gains), seeds))
    noise[0] = 0.3 * random.normal(size=seeds)
    return 0.8 + NOISE * (gains[:, None] + noise), (gains - gains[0]) * NOISE


WORLDS = (
    World("normal", shifted(lambda random, shape: random.normal(size=shape))),
    World("heavy tails (t with 3 degrees)", shifted(lambda r, shape: r.standard_t(3, size=shape))),
    World("skewed alike", shifted(lambda r, shape: 1 - r.exponential(size=shape))),
    World("accuracy on 50 rows, 90 %", hits(50, 0.9), 1 / 50),
    World("accuracy on 30 rows, 97 %", hits(30, 0.97), 1 / 30),
    World("one run in ten diverges", diverging),
    World("treated skewed, untreated not", treated_skewed, holds=False),
    World("only treated runs diverge", treated_diverging, holds=False),
)


def stream(world: World, *numbers: int) -> np.random.Generator:
    """Return random numbers that belong to this world and these numbers alone."""
    return np.random.default_rng([*numbers, *world.name.encode()])
