"""Exploring: proposals on one seed, generation by generation."""

from __future__ import annotations

from fitwell.studies.candidates import Candidate
from fitwell.studies.search.beginnings import Beginnings
from fitwell.studies.search.proposals import Proposer
from fitwell.studies.search.race import SEARCH_SEEDS, Race

EXPLORING = 0.45
"""Share of the search's budget at which exploring has to end."""
GENERATION = 6
"""Candidates in every generation after the first."""
WIDE = 12
"""Candidates of a generation that is cut by first epochs: a quarter of a run each, and a quarter of
them run whole, it costs as much as one of six."""
PATIENCE = 5
"""Generations without a better candidate that end the exploring."""


def explore(race: Race, proposer: Proposer, share: float = EXPLORING) -> None:
    """Run proposals on one seed, generation by generation, until they get no better.

    Where the beginnings of runs have told their ends, a generation is twice as wide, and only the
    best quarter of it is run to the end.

    Args:
        race: Holds the runs.
        proposer: Says what to try.
        share: Part of the search's budget at which it ends at the latest.
    """
    proposals = proposer.first()
    untreated = [Candidate((), rate) for rate in (1.0, 0.3, 3.0)]
    opening = [*proposals[:3], *untreated[1:], *proposals[3:]]
    seed = SEARCH_SEEDS[:1]
    race.run(untreated[:1], seed, None)  # the run that was diagnosed
    going = race.run(opening, seed, share)
    race.keep_time()
    beginnings = Beginnings(race)
    best, patience, number = race.best(treated=True), PATIENCE, 0
    while going and patience > 0:
        number += 1
        short = beginnings.tell()
        size = WIDE if short else GENERATION
        varied = proposer.next(beginnings.tried(), size=size, number=number)
        if not varied:
            return
        if short:
            race.begin(varied, beginnings.epochs, share)
            varied = beginnings.promoted(varied)
        going = race.run([*_slower_or_faster(race), *varied], seed, share)
        race.keep_time()
        leader = race.best(treated=True)
        patience = patience - 1 if leader == best else PATIENCE
        best = leader


def _slower_or_faster(race: Race) -> list[Candidate]:
    """Return the best untreated network at a rate not tried yet, if there is one next to it."""
    best = race.ranked(treated=False)[:1]
    moved = [c.at(step) for c in best for step in (-1, 1)]
    return [c for c in moved if c is not None and c not in race.tried][:1]
