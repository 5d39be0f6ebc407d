"""Search without a diagnosis: Optuna's samplers over the same space, from a flat prior."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, final

from fitwell.errors import require
from fitwell.studies.candidates import Candidate
from fitwell.studies.search.space import Space

ATTEMPTS = 20
"""Suggestions looked at for every candidate wanted; one that was tried, or cannot serve, counts."""


@final
class Blind:
    """Proposes what Optuna suggests, knowing nothing of the network.

    Args:
        space: The remedies that may be combined.
        seed: Only source of chance.
        random: Whether every suggestion is drawn at random, and not by TPE.

    References:
        Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011 (TPE).
    """

    def __init__(self, space: Space, *, seed: int = 0, random: bool = False) -> None:
        self.space, self.seed, self.random = space, seed, random

    def first(self) -> list[Candidate]:
        """Return what to begin with: nothing is known better than by chance."""
        return self.next((), size=FIRST, number=0)

    def next(self, ordered: Sequence[Candidate], *, size: int, number: int) -> list[Candidate]:
        """Return untried candidates, given those that were tried, the best first.

        Args:
            ordered: What was tried so far; the order is all that is read of the results.
            size: How many are wanted.
            number: Number of the generation.
        """
        study = told(
            self.space, ordered, seed=generation_seed(self.seed, number), random=self.random
        )
        found: dict[Candidate, None] = {}
        tried = set(ordered)
        for _ in range(ATTEMPTS * size):
            candidate = self.space.suggested(study.ask())
            if candidate.recipe and candidate not in tried:
                found[candidate] = None
            if len(found) == size:
                break
        return list(found)


FIRST = 8
"""Candidates of the first generation."""


def generation_seed(seed: int, number: int) -> int:
    """Return a seed that differs from generation to generation."""
    return (seed * 1_000_003 + number * 7919) % 2**32


def told(space: Space, ordered: Sequence[Candidate], *, seed: int, random: bool = False) -> Any:
    """Return an Optuna study in memory that was told of the candidates tried, the best first.

    They are told in a fixed order, whatever order their runs ended in; the value of each is its
    place. So what is asked next depends on the results and the seed alone.
    """
    optuna = require("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    samplers = optuna.samplers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = (
            samplers.RandomSampler(seed=seed)
            if random
            else samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
        )
    study = optuna.create_study(direction="minimize", sampler=sampler)
    places = {candidate: place for place, candidate in enumerate(ordered)}
    for candidate in sorted(places, key=lambda c: (str(c.recipe), c.rate)):
        parameters, distributions = space.parameters(candidate)
        study.add_trial(
            optuna.trial.create_trial(
                value=float(places[candidate]), params=parameters, distributions=distributions
            )
        )
    return study
