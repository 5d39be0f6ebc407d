"""What the winner owes to each of its remedies; what adds nothing is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fitwell.records import Contribution, RemedySpec
from fitwell.studies.candidates import Candidate
from fitwell.studies.search.race import SEARCH_SEEDS, Race

SIMPLIFYING = 1.0
"""Share of the search's budget at which simplifying has to end."""


def simplify(race: Race, winner: Candidate) -> tuple[Candidate, tuple[Contribution, ...]]:
    """Drop the remedies of the winner that add nothing: all at once where that is no loss.

    A remedy is dropped only while there is time to measure anew what the others add without it.

    Returns:
        What is left of the winner, and what each of its remedies adds; fewer contributions where
        the budget ended before all were measured.
    """
    while True:
        seeds = _unbiased(race, winner)
        without = {spec: winner.without(spec.name) for spec in winner.recipe}
        reduced = [candidate for candidate in without.values() if candidate.recipe]
        bare = Candidate((), winner.rate)
        race.run([*reduced, *([bare] if len(reduced) < len(without) else [])], seeds, SIMPLIFYING)
        measured = {spec: race.effect(c, winner, seeds=seeds) for spec, c in without.items()}
        contributions = tuple(Contribution(s, e) for s, e in measured.items() if e is not None)
        useless = [
            (*gain, c.remedy)
            for c in contributions
            if without[c.remedy].recipe
            and (gain := _gain(race, without[c.remedy], winner)) is not None
            and gain <= (0.0, 0.0)
        ]
        if not useless:
            return winner, contributions
        lean = _without_all(race, winner, [u[2] for u in useless])
        again = (len(winner.recipe) - 1) * len(seeds)
        if lean is None and not race.bench.has_room(again):
            return winner, contributions
        worst = min(useless, key=lambda u: u[:2])[2]
        winner = lean or without[worst]


def _unbiased(race: Race, winner: Candidate) -> list[int]:
    """Return the seeds of the winner that did not pick it, if they are enough for an interval."""
    seeds = [seed for seed in SEARCH_SEEDS if seed in race.runs[winner]]
    return seeds[1:] if len(seeds) > 2 else seeds


def _gain(race: Race, base: Candidate, other: Candidate) -> tuple[float, float] | None:
    """Return by how much metric and loss improve from one to another, or None if unknown."""
    metric, loss = race.effect(base, other), race.effect(base, other, loss=True)
    return (metric.mean, loss.mean) if metric is not None and loss is not None else None


def _without_all(race: Race, winner: Candidate, useless: Sequence[RemedySpec]) -> Candidate | None:
    """Return the winner without any of these remedies, if that is no worse and there is room."""
    names = {spec.name for spec in useless}
    lean = replace(winner, recipe=tuple(s for s in winner.recipe if s.name not in names))
    seeds = _unbiased(race, winner)
    left = len(lean.recipe) * len(seeds)
    if len(names) < 2 or not lean.recipe or not race.bench.has_room(len(seeds) + left):
        return None
    race.run([lean], seeds, SIMPLIFYING)
    gain = _gain(race, lean, winner)
    return lean if gain is not None and gain <= (0.0, 0.0) else None
