"""The search: a race over recipes, doses and learning rates, decided on validation rows alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import final

from fitwell.records import Contribution, Diagnosis, Effect, RunRecord, Score, Trial
from fitwell.studies.bench import Bench
from fitwell.studies.candidates import (
    Candidate,
    Specs,
    first_generation,
    next_generation,
    remedies_named,
)
from fitwell.studies.job import Refusal
from fitwell.studies.statistics import paired_effect

SEARCH_SEEDS = tuple(range(1_000_000, 1_000_004))
"""Seeds of the search; those of a proof count from 0 and never come this far."""
EXPLORING, HALVING, SIMPLIFYING = 0.45, 0.62, 1.0
"""Shares of the search's budget at which its three parts have to end."""
GENERATION = 6
"""Candidates in every generation after the first."""
PATIENCE = 3
"""Generations without a better candidate that end the exploring."""
LEADERS = 3
"""How many of the best are varied, and how many run on all seeds of the search."""
SECOND_ROUND = 4
"""How many of the best get a second seed."""
PROMISING = 0.25
"""Largest p on validation with which a candidate still goes to the proof; it is that of three equal
differences. The proof decides: here only what is hopeless is to be spared one."""
FEW_ROWS = 100
"""Validation rows under which the loss weighs as much as the metric, which is then coarse."""


@final
@dataclass(frozen=True)
class Found:
    """What a search ended with.

    Args:
        untreated: The untreated network at its own best learning rate.
        winner: The best candidate, or None if none was better with some evidence.
        evidence: The winner against the untreated on validation, on seeds that did not choose it
            where there are such; None without two common seeds.
        contributions: What each remedy of the winner adds, on validation.
        trials: Everything that was tried, the best first.
        refused: Why remedies were left out, as sentences.
        in_time: Whether the time that was left covered a proof of any of them.
    """

    untreated: Candidate
    winner: Candidate | None
    evidence: Effect | None
    contributions: tuple[Contribution, ...]
    trials: tuple[Trial, ...]
    refused: tuple[str, ...]
    in_time: bool = True


def search(bench: Bench, diagnosis: Diagnosis, *, proof_seeds: int = 8) -> Found:
    """Search for the recipe that helps most, by successive halving on validation rows.

    First every proposal runs on one seed, and the leaders are varied, generation by generation.
    The best four then get a second seed and the best three of them all four. Last, each remedy
    of the winner is left out in turn, and those that add nothing are dropped. The untreated network
    has its learning rate tuned like every candidate.

    Args:
        bench: Does the runs; its budget ends the search, its task has no test rows.
        diagnosis: Names the remedies to begin with.
        proof_seeds: Seeds of the proof that follows; time is kept for it.

    References:
        Jamieson & Talwalkar, "Non-stochastic Best Arm Identification", 2016, arXiv:1502.07943.
    """
    if bench.budget is not None:
        bench.budget.begin_search()
    race = Race(bench, proof_seeds)
    explore(race, diagnosis)
    halve(race)
    untreated = race.best(treated=False)
    winner = race.best(treated=True)
    in_time = winner is not None or not any(candidate.recipe for candidate in race.runs)
    contributions: tuple[Contribution, ...] = ()
    evidence = None
    if winner is not None:
        winner, contributions = simplify(race, winner)
        evidence = race.evidence(untreated or Candidate(), winner)
        if not _promising(race, untreated or Candidate(), winner, evidence):
            winner = None
    return Found(
        untreated or Candidate(),
        winner,
        evidence,
        contributions if winner else (),
        race.trials(),
        race.left_out(),
        in_time,
    )


@final
@dataclass
class Race:
    """Candidates and the runs that they have had so far.

    Args:
        bench: Does the runs.
        proof_seeds: Seeds of the proof; a candidate too slow to be proven in time is passed over.
    """

    bench: Bench
    proof_seeds: int = 0
    runs: dict[Candidate, dict[int, RunRecord]] = field(default_factory=dict)
    refused: dict[str, None] = field(default_factory=dict)
    tried: dict[Candidate, None] = field(default_factory=dict)

    def run(
        self, candidates: Iterable[Candidate], seeds: Sequence[int], share: float | None
    ) -> bool:
        """Run candidates on seeds as far as the budget goes; say whether all were run."""
        pool = tuple(candidates)
        jobs = {c.job(seed): c for seed in seeds for c in pool}
        done = self.bench.run(jobs, share=share)
        for job, result in done.items():
            self.tried[jobs[job]] = None
            if isinstance(result, Refusal):
                self.refused[f"{result.arm} was left out: {result.reason}"] = None
            else:
                self.runs.setdefault(jobs[job], {})[job.seed] = result
        return len(done) == len(jobs)

    def score(self, candidate: Candidate) -> Score:
        """Return the mean validation score of a candidate over its seeds."""
        runs = self.runs[candidate].values()
        return Score(
            fmean(run.validation.metric for run in runs), fmean(run.validation.loss for run in runs)
        )

    def ranked(self, *, treated: bool, seeds: int = 1) -> list[Candidate]:
        """Return the candidates with at least that many seeds, the best first.

        Places by metric and by loss are added; the loss weighs the more, the fewer validation rows
        there are to tell one metric from another.
        """
        return self._ordered(
            c
            for c, runs in self.runs.items()
            if bool(c.recipe) == treated and len(runs) >= seeds and self.provable(c)
        )

    def _ordered(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        pool = list(candidates)
        sign = -1.0 if self.bench.task.higher_is_better else 1.0
        scores = {c: self.score(c) for c in pool}
        by_metric = _places({c: sign * s.metric for c, s in scores.items()})
        by_loss = _places({c: s.loss for c, s in scores.items()})
        weight = min(1.0, FEW_ROWS / max(1, len(self.bench.task.data.validation)))
        return sorted(pool, key=lambda c: (by_metric[c] + weight * by_loss[c], len(c.recipe)))

    def best(self, *, treated: bool) -> Candidate | None:
        """Return the best of those candidates that ran on the most seeds."""
        pool = self.ranked(treated=treated)
        most = max((len(self.runs[c]) for c in pool), default=0)
        return next((c for c in self.ranked(treated=treated, seeds=most)), None)

    def proof_seconds(self, candidate: Candidate) -> float:
        """Return how long a proof of the candidate is estimated to take."""
        arms = (self.runs[candidate], self.runs.get(Candidate()) or self.runs[candidate])
        pair = sum(min(run.seconds for run in runs.values()) for runs in arms)
        return self.proof_seeds * pair / self.bench.executor.workers

    def provable(self, candidate: Candidate) -> bool:
        """Say whether a proof of the candidate would still end in time, were it next."""
        budget = self.bench.budget
        if budget is None or budget.seconds is None or not candidate.recipe:
            return True
        return budget.can_prove(self.proof_seconds(candidate))

    def left_out(self) -> tuple[str, ...]:
        """Say why candidates could not become the winner."""
        slow = sum(not self.provable(c) for c in self.runs)
        late = (
            f"{slow} recipes were passed over, since their proof would not end in time: allow more."
        )
        return (*self.refused, late) if slow else tuple(self.refused)

    def keep_time(self) -> None:
        """Keep as much of the budget as the slowest of the leaders needs for its proof."""
        budget = self.bench.budget
        if budget is not None and budget.seconds is not None:
            leaders = self.ranked(treated=True)[:LEADERS]
            budget.reserve(max(map(self.proof_seconds, leaders), default=0.0))

    def evidence(self, base: Candidate, other: Candidate) -> Effect | None:
        """Return the improvement on the seeds that did not pick the candidate out of all others."""
        return self.effect(base, other, seeds=SEARCH_SEEDS[1:]) or self.effect(base, other)

    def effect(
        self,
        base: Candidate,
        other: Candidate,
        *,
        loss: bool = False,
        seeds: Sequence[int] = SEARCH_SEEDS,
    ) -> Effect | None:
        """Return the improvement of one candidate over another on their common seeds."""
        both = self.runs.get(base, {}).keys() & self.runs.get(other, {}).keys()
        common = [seed for seed in seeds if seed in both]
        if len(common) < 2:
            return None
        before, after = ([self.runs[c][s].validation for s in common] for c in (base, other))
        if loss:
            return paired_effect(
                [s.loss for s in before], [s.loss for s in after], higher_is_better=False
            )
        return paired_effect(
            [s.metric for s in before],
            [s.metric for s in after],
            higher_is_better=self.bench.task.higher_is_better,
        )

    def trials(self) -> tuple[Trial, ...]:
        """Return everything that ran, most seeds and best place first."""
        pool = self._ordered(self.runs)
        pool.sort(key=lambda c: -len(self.runs[c]))
        return tuple(Trial(c.recipe, c.rate, self.score(c), len(self.runs[c])) for c in pool)


def explore(race: Race, diagnosis: Diagnosis) -> None:
    """Run proposals on one seed, generation by generation, until they get no better."""
    named = remedies_named(diagnosis, race.bench.task.data.kind)
    proposals = first_generation(diagnosis, named)
    untreated = [Candidate((), rate) for rate in (1.0, 0.3, 3.0)]
    opening = [*proposals[:3], *untreated[1:], *proposals[3:]]
    seed = SEARCH_SEEDS[:1]
    race.run(untreated[:1], seed, None)  # the run that was diagnosed
    going = race.run(opening, seed, EXPLORING)
    race.keep_time()
    best, patience, number = race.best(treated=True), PATIENCE, 0
    while going and patience > 0:
        number += 1
        bare = next_generation(
            race.ranked(treated=False)[:1], {}, race.tried, size=1, number=number
        )
        leaders = race.ranked(treated=True)[:LEADERS]
        varied = next_generation(leaders, named, race.tried, size=GENERATION, number=number)
        if not varied:
            return
        going = race.run([*bare, *varied], seed, EXPLORING)
        race.keep_time()
        leader = race.best(treated=True)
        patience = patience - 1 if leader == best else PATIENCE
        best = leader


def halve(race: Race) -> None:
    """Give the best a second seed, and the best of these all of them."""
    bare = race.ranked(treated=False)
    leaders = race.ranked(treated=True)
    first, second = bare[:2], leaders[:SECOND_ROUND]
    race.run([*first[:1], *second[:2], *first[1:], *second[2:]], SEARCH_SEEDS[1:2], HALVING)
    bare = race.ranked(treated=False, seeds=2)[:1] or bare[:1]
    leaders = race.ranked(treated=True, seeds=2)[:LEADERS] or leaders[:1]
    race.run([*bare, *leaders[:1]], SEARCH_SEEDS[1:], HALVING)
    race.run(leaders[1:], SEARCH_SEEDS[1:], HALVING)


def simplify(race: Race, winner: Candidate) -> tuple[Candidate, tuple[Contribution, ...]]:
    """Drop the remedies of the winner that add nothing, the most useless first.

    A remedy is dropped only while there is time to measure anew what the others add without it.

    Returns:
        What is left of the winner, and what each of its remedies adds; fewer contributions where
        the budget ended before all were measured.
    """
    while True:
        seeds = sorted(race.runs[winner])
        without = {spec: _without(winner, spec.name) for spec in winner.recipe}
        reduced = [candidate for candidate in without.values() if candidate.recipe]
        bare = Candidate((), winner.rate)
        race.run([*reduced, *([bare] if len(reduced) < len(without) else [])], seeds, SIMPLIFYING)
        measured = {spec: race.effect(c, winner) for spec, c in without.items()}
        contributions = tuple(Contribution(s, e) for s, e in measured.items() if e is not None)
        useless = [
            (c.effect.mean, loss.mean, without[c.remedy])
            for c in contributions
            if without[c.remedy].recipe
            and (loss := race.effect(without[c.remedy], winner, loss=True)) is not None
            and (c.effect.mean, loss.mean) <= (0.0, 0.0)
        ]
        again = (len(winner.recipe) - 1) * len(seeds)
        if not useless or not race.bench.has_room(again):
            return winner, contributions
        winner = min(useless, key=lambda u: u[:2])[2]


def _without(candidate: Candidate, name: str) -> Candidate:
    kept: Specs = tuple(spec for spec in candidate.recipe if spec.name != name)
    return replace(candidate, recipe=kept)


def _promising(
    race: Race, untreated: Candidate, winner: Candidate, evidence: Effect | None
) -> bool:
    """Say whether a proof is worth its time: better on validation, and hardly by chance."""
    if evidence is not None:
        enough = evidence.pairs >= len(SEARCH_SEEDS) - 1
        return evidence.mean > 0 and (evidence.p <= PROMISING or not enough)
    if untreated not in race.runs:
        return True
    sign = 1.0 if race.bench.task.higher_is_better else -1.0
    return sign * (race.score(winner).metric - race.score(untreated).metric) > 0


def _places(values: dict[Candidate, float]) -> dict[Candidate, float]:
    """Return the place of each candidate from 0, the smallest value first; equal ones share it."""
    order = sorted(values.values())
    return {c: order.index(value) for c, value in values.items()}
