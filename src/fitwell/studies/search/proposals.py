"""What a search tries next: the prior, what the results say, and variations of the best."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Protocol, TypeVar, final

from fitwell.records import RemedySpec
from fitwell.studies.candidates import Candidate, combined, rivals_of
from fitwell.studies.search.blind import ATTEMPTS, FIRST, Blind, generation_seed
from fitwell.studies.search.prior import Prior, started
from fitwell.studies.search.race import LEADERS
from fitwell.studies.search.space import RATE, Space

Name = TypeVar("Name")

TURNS = ("varied", "crossed", "varied", "learned", "varied", "drawn")
"""Where the candidates of a generation come from, in turn."""
CHANGES = (0.5, 0.35, 0.15)
"""Shares of the variations that change one thing, two and three."""
PARENTS, LOST = 6, 0.15
"""How many of the best are crossed, and the share of their remedies that is lost on the way."""
MOVED, DOSED, REMOVED = 0.4, 0.2, 0.1
"""Weights of a variation of the rate, of a dose, and of one remedy less; that of one more is its
probability."""
LEARNING = 10
"""Candidates that must have been tried before the results say more than the prior."""
TASTES = 4
"""Suggestions of TPE that the prior chooses one from."""
FADING = 10.0
"""Candidates tried after which the prior weighs half as much beside the results."""
STEP = 1 / 6
"""How far a variation moves a dose or the rate: a sixth of the range; a factor 3 for the rate."""
SPREAD = 0.15
"""Deviation of a dose or rate drawn from the prior, as a share of the range."""


class Proposer(Protocol):
    """Says what to try; the same for the same seed and results, whatever order they came in."""

    def first(self) -> list[Candidate]:
        """Return what to begin with, the most promising first."""

    def next(self, ordered: Sequence[Candidate], *, size: int, number: int) -> list[Candidate]:
        """Return untried candidates, given those that were tried, the best first."""


@final
class Guided:
    """Proposes what the diagnosis holds best, then what the results do.

    Four sources take turns in every generation after the first: variations of the leaders; what
    two of the best have together; suggestions of TPE, chosen from by the prior, which fades as
    results come in; and draws from the prior itself, so that no remedy is ever out of reach.

    Args:
        space: The remedies that can serve.
        prior: What the diagnosis makes of them.
        seed: Only source of chance.

    References:
        Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011 (TPE).
        Hvarfner et al., "πBO", ICLR 2022, arXiv:2204.11051 (a prior that fades).
        Mallik et al., "PriorBand", NeurIPS 2023, arXiv:2306.12370 (sources in turn).
    """

    def __init__(self, space: Space, prior: Prior, *, seed: int = 0) -> None:
        self.space, self.prior, self.seed = started(space, prior), prior, seed

    def first(self) -> list[Candidate]:
        """Return the plans of the prior at the doses to begin with, at most eight."""
        starts = self.prior.starts
        return [Candidate(combined(starts[n] for n in plan)) for plan in self.prior.plans][:FIRST]

    def next(self, ordered: Sequence[Candidate], *, size: int, number: int) -> list[Candidate]:
        """Return untried candidates, given those that were tried, the best first.

        Args:
            ordered: What was tried so far; the order is all that is read of the results.
            size: How many are wanted.
            number: Number of the generation.
        """
        random = Random(generation_seed(self.seed, number))  # noqa: S311
        sources = {
            "varied": self._varied(ordered[:LEADERS], random),
            "crossed": self._crossed(ordered[:PARENTS], random),
            "learned": self._learned(ordered, size, number, random),
            "drawn": self._drawn(random),
        }
        seen = set(ordered)
        found: dict[Candidate, None] = {}
        for turn in range(10 * size):
            source = itertools.islice(sources[TURNS[turn % len(TURNS)]], ATTEMPTS)
            candidate = next((c for c in source if c not in seen), None)
            if candidate is not None:
                seen.add(candidate)
                found[candidate] = None
            if len(found) == size:
                break
        return list(found)

    def _varied(self, leaders: Sequence[Candidate], random: Random) -> Iterator[Candidate]:
        """Yield variations of the leaders, each in turn, by one thing or a few at once."""
        while leaders:
            for leader in leaders:
                varied = leader
                for _ in range(random.choices((1, 2, 3), CHANGES)[0]):
                    varied = next(self._around(varied, random))
                yield varied

    def _crossed(self, parents: Sequence[Candidate], random: Random) -> Iterator[Candidate]:
        """Yield what two of the best have together, less a remedy now and then."""
        while len(parents) > 1:
            one, other = random.sample(list(parents), 2)
            specs = [s for s in (*one.recipe, *other.recipe) if random.random() > LOST]
            if specs:
                yield Candidate(combined(specs), random.choice((one, other)).rate)

    def _around(self, leader: Candidate, random: Random) -> Iterator[Candidate]:
        """Yield what differs from a leader by one thing, promising things mostly first."""
        place = RATE.place(leader.rate)
        weights = {replace(leader, rate=RATE.value(place + s)): MOVED for s in (-STEP, STEP)}
        for index, spec in enumerate(leader.recipe):
            rest = leader.recipe[:index] + leader.recipe[index + 1 :]
            for dosed in self._doses(spec):
                weights[replace(leader, recipe=combined((*rest, dosed)))] = DOSED
            if rest:
                weights[replace(leader, recipe=rest)] = REMOVED
        held = set(leader.structure)
        for name in self.space.options:
            if name not in held and not rivals_of(name) & held:
                grown = combined((*leader.recipe, self.prior.starts[name]))
                weights[replace(leader, recipe=grown)] = self.prior.probability[name]
        yield from weighted_order(weights, random)

    def _doses(self, spec: RemedySpec) -> Iterator[RemedySpec]:
        """Yield the remedy with a dose one step lower and one step higher."""
        option = self.space.options.get(spec.name)
        if option is None or option.dose is None:
            return
        dose, now = option.dose, option.place(spec)
        step = 1 / len(dose.choices) if dose.choices else STEP
        for place in (now - step, now + step):
            dosed = RemedySpec(spec.name, {**spec.args, dose.argument: dose.value(place)})
            if dosed != spec:
                yield dosed

    def _learned(
        self, ordered: Sequence[Candidate], size: int, number: int, random: Random
    ) -> Iterator[Candidate]:
        """Yield suggestions of TPE, those that the prior likes mostly first."""
        if len(ordered) < LEARNING:
            return
        blind = Blind(self.space, seed=self.seed)
        tasted = blind.next(ordered, size=TASTES, number=number)
        weight = FADING / (FADING + len(ordered))
        liked = {c: math.exp(weight * self.log_prior(c)) for c in tasted}
        yield from weighted_order(liked, random)

    def _drawn(self, random: Random) -> Iterator[Candidate]:
        """Yield draws from the prior."""
        while True:
            places = {
                name: random.gauss(self.prior.place(self.space.options[name]), SPREAD)
                for name in weighted_order(self.prior.probability, random)
                if random.random() < self.prior.probability[name]
            }
            if places:
                yield self.space.candidate(places, random.gauss(RATE.place(1.0), SPREAD))

    def log_prior(self, candidate: Candidate) -> float:
        """Return the logarithm of the prior probability of the remedies of a candidate."""
        held = set(candidate.structure)
        shares = ((n in held, p) for n, p in self.prior.probability.items())
        return sum(math.log(p if on else 1 - p) for on, p in shares)


def weighted_order(weights: Mapping[Name, float], random: Random) -> list[Name]:
    """Return the keys in a random order in which heavy ones tend to come first.

    Each place is drawn from what is left, in proportion to the weights.

    References:
        Efraimidis & Spirakis, "Weighted random sampling with a reservoir", 2006.
    """
    keys = {name: random.random() ** (1 / max(weight, 1e-12)) for name, weight in weights.items()}
    return sorted(weights, key=lambda name: -keys[name])
