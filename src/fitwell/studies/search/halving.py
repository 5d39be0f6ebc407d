"""Halving: the best get more seeds."""

from __future__ import annotations

from collections.abc import Sequence

from fitwell.studies.candidates import Candidate
from fitwell.studies.judging import score_step
from fitwell.studies.search.race import LEADERS, MORE_SEEDS, SEARCH_SEEDS, Race
from fitwell.studies.statistics import beaten

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
    going = race.run(leaders[1:], SEARCH_SEEDS[1:-1], HALVING)
    left = [c for c in race.unbeaten(leaders) if c in race.runs]
    if race.run([c for c in left if c not in leaders[:1]], SEARCH_SEEDS[-1:], HALVING) and going:
        contend(race, bare, left)


def contend(race: Race, bare: Sequence[Candidate], leaders: Sequence[Candidate]) -> None:
    """Give further seeds to the leaders that no other has beaten, while there is room and doubt.

    Args:
        race: Holds the runs.
        bare: The untreated network, which gets the same seeds.
        leaders: Candidates that ran on all seeds of the search.
    """
    scores = {c: _fresh_metrics(race, c) for c in leaders if c in race.runs}
    for seed in MORE_SEEDS:
        lost = beaten(
            scores,
            higher_is_better=race.bench.task.higher_is_better,
            step=score_step(race.bench.task, len(race.bench.task.data.validation)),
        )
        standing = [c for c in scores if c not in lost]
        if len(standing) < 2 or not race.bench.has_room(len(bare) + len(standing)):
            return
        if not race.run([*bare, *standing], [seed], HALVING):
            return
        scores |= {c: _fresh_metrics(race, c) for c in standing}


def _fresh_metrics(race: Race, candidate: Candidate) -> list[float]:
    """Return the metrics on the seeds that did not pick the candidate, in their order."""
    runs = race.runs[candidate]
    return [runs[seed].validation.metric for seed in sorted(runs)[1:]]


def _diverse(leaders: Sequence[Candidate]) -> list[Candidate]:
    """Return the best few, one of a single remedy among them."""
    best = list(leaders[:SECOND_ROUND])
    if best and not any(len(c.recipe) == 1 for c in best):
        best[-1:] = [c for c in leaders if len(c.recipe) == 1][:1] or best[-1:]
    return best
