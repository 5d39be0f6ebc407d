"""Halving: the best get more seeds."""

from __future__ import annotations

from collections.abc import Sequence

from fitwell.studies.candidates import Candidate
from fitwell.studies.search.race import LEADERS, SEARCH_SEEDS, Race

HALVING = 0.62
"""Share of the search's budget at which halving has to end."""
SECOND_ROUND = 4
"""How many of the best get a second seed."""


def halve(race: Race) -> None:
    """Give the best a second seed, and the best of these all of them, unless they are beaten.

    The best with a single remedy is among them: of many recipes on one seed those come out ahead
    that were lucky, and recipes grow by luck.
    """
    bare = race.ranked(treated=False)
    leaders = race.ranked(treated=True)
    first, second = bare[:2], _diverse(leaders)
    race.run([*first[:1], *second[:2], *first[1:], *second[2:]], SEARCH_SEEDS[1:2], HALVING)
    bare = race.ranked(treated=False, seeds=2)[:1] or bare[:1]
    leaders = race.ranked(treated=True, seeds=2)[:LEADERS] or leaders[:1]
    race.run([*bare, *leaders[:1]], SEARCH_SEEDS[1:], HALVING)
    race.run(leaders[1:], SEARCH_SEEDS[1:-1], HALVING)
    left = race.unbeaten(leaders)
    race.run([c for c in leaders[1:] if c in left], SEARCH_SEEDS[-1:], HALVING)


def _diverse(leaders: Sequence[Candidate]) -> list[Candidate]:
    """Return the best few, one of a single remedy among them."""
    best = list(leaders[:SECOND_ROUND])
    if best and not any(len(c.recipe) == 1 for c in best):
        best[-1:] = [c for c in leaders if len(c.recipe) == 1][:1] or best[-1:]
    return best
