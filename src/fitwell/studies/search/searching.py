"""The search: a race over recipes, doses and learning rates, decided on validation rows alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from fitwell.records import Contribution, Diagnosis, Effect, Trial
from fitwell.studies.bench import Bench
from fitwell.studies.candidates import Candidate
from fitwell.studies.search.blind import Blind
from fitwell.studies.search.exploring import explore
from fitwell.studies.search.halving import halve
from fitwell.studies.search.prior import prior_of
from fitwell.studies.search.proposals import Guided, Proposer
from fitwell.studies.search.race import SEARCH_SEEDS, Race
from fitwell.studies.search.simplifying import simplify
from fitwell.studies.search.space import Space, space_for

PROMISING = 0.25
"""Largest p on validation with which a candidate still goes to the proof; it is that of three equal
differences. The proof decides: here only what is hopeless is to be spared one."""


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


def search(
    bench: Bench, diagnosis: Diagnosis | None, *, proof_seeds: int = 8, seed: int = 0
) -> Found:
    """Search for the recipe that helps most, by successive halving on validation rows.

    What is tried first is what the diagnosis holds best; without one the search is blind. First
    every proposal runs on one seed, and the leaders are varied, generation by generation.
    The best four then get a second seed and the best three of them all four. Last, each remedy
    of the winner is left out in turn, and those that add nothing are dropped. The untreated network
    has its learning rate tuned like every candidate.

    Args:
        bench: Does the runs; its budget ends the search, its task has no test rows.
        diagnosis: Says which remedies are probable; None for a search that knows nothing.
        proof_seeds: Seeds of the proof that follows; time is kept for it.
        seed: Only source of chance in what is proposed.

    References:
        Jamieson & Talwalkar, "Non-stochastic Best Arm Identification", 2016, arXiv:1502.07943.
    """
    if bench.budget is not None:
        bench.budget.begin_search()
    race = Race(bench, proof_seeds)
    space = space_for(bench.task.data.kind, bench.refusal)
    race.refused.update(dict.fromkeys(space.refused))
    explore(race, proposer_for(space, diagnosis, seed=seed))
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


def proposer_for(space: Space, diagnosis: Diagnosis | None, *, seed: int) -> Proposer:
    """Return what proposes candidates: guided by a diagnosis, or blind without one."""
    if diagnosis is None:
        return Blind(space, seed=seed)
    return Guided(space, prior_of(diagnosis, space), seed=seed)


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
