"""The race: candidates, the runs that they have had, and who is ahead on validation rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import final

from fitwell.records import Effect, RunRecord, Score, Trial
from fitwell.studies.bench import Bench
from fitwell.studies.candidates import Candidate, label
from fitwell.studies.job import Job, Refusal
from fitwell.studies.judging import score_step
from fitwell.studies.search.space import sentence_on
from fitwell.studies.statistics import beaten, paired_effect
from fitwell.words import say

SEARCH_SEEDS = tuple(range(1_000_000, 1_000_004))
"""Seeds of the search; those of a proof count from 0 and never come this far."""
MORE_SEEDS = tuple(range(1_000_004, 1_000_008))
"""Further seeds, for candidates that the others do not tell apart."""
LEADERS = 3
"""How many of the best are varied, and how many run on all seeds of the search."""
FEW_ROWS = 1000
"""Validation rows up to which the loss weighs as much as the metric: an accuracy of 0.9 is then
uncertain by a point or more, and the loss less so. Of 20 recipes, drawn 400 times on eight small
tasks, both together chose what scored 0.812 (accuracy, R² on one of them) with a loss of 0.483 on
unseen rows; the metric alone 0.810 with 0.506."""


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
    begun: dict[Candidate, RunRecord] = field(default_factory=dict)
    refused: dict[str, None] = field(default_factory=dict)
    tried: dict[Candidate, None] = field(default_factory=dict)

    def run(
        self, candidates: Iterable[Candidate], seeds: Sequence[int], share: float | None
    ) -> bool:
        """Run candidates on seeds as far as the budget goes; say whether all were run."""
        pool = tuple(c for c in candidates if self.serves(c))
        jobs = {c.job(seed): c for seed in seeds for c in pool}
        done, complete = self._done(jobs, share)
        for job, result in done.items():
            self.runs.setdefault(jobs[job], {})[job.seed] = result
        return complete

    def begin(self, candidates: Iterable[Candidate], epochs: int, share: float | None) -> bool:
        """Run the first epochs of candidates on the first seed; say whether all were run."""
        pool = tuple(c for c in candidates if self.serves(c))
        jobs = {c.job(SEARCH_SEEDS[0], epochs): c for c in pool}
        done, complete = self._done(jobs, share)
        self.begun |= {jobs[job]: result for job, result in done.items()}
        return complete

    def _done(
        self, jobs: Mapping[Job, Candidate], share: float | None
    ) -> tuple[dict[Job, RunRecord], bool]:
        """Return what the budget allows of these jobs, and whether that was all of them."""
        found: dict[Job, RunRecord] = {}
        answered = self.bench.run(jobs, share=share)
        for job, result in answered.items():
            self.tried[jobs[job]] = None
            if isinstance(result, Refusal):
                self.refused[sentence_on(result.arm, result.reason)] = None
            else:
                found[job] = result
        return found, len(answered) == len(jobs)

    def serves(self, candidate: Candidate) -> bool:
        """Say whether a recipe can serve the network; why not is remembered."""
        reason = self.bench.refusal(candidate.recipe)
        if reason is not None:
            self.tried[candidate] = None
            self.refused[sentence_on(label(candidate.recipe), reason)] = None
        return reason is None

    def score(self, candidate: Candidate) -> Score:
        """Return the mean validation score of a candidate over its seeds.

        The first seed picks candidates out of many, and so flatters those that it picked: it counts
        only where there is no other.
        """
        runs = [r for seed, r in self.runs[candidate].items() if seed != SEARCH_SEEDS[0]]
        runs = runs or list(self.runs[candidate].values())
        return Score(
            fmean(run.validation.metric for run in runs), fmean(run.validation.loss for run in runs)
        )

    def ranked(self, *, treated: bool, seeds: int = 1) -> list[Candidate]:
        """Return the candidates with at least that many seeds, the best first.

        Places by metric and by loss are added; the loss weighs the more, the fewer validation rows
        there are to tell one metric from another.
        """
        return self.ordered(
            {
                c: self.score(c)
                for c, runs in self.runs.items()
                if bool(c.recipe) == treated and len(runs) >= seeds and self.provable(c)
            }
        )

    def ordered(self, scores: Mapping[Candidate, Score]) -> list[Candidate]:
        """Return candidates by their scores, the best first."""
        sign = -1.0 if self.bench.task.higher_is_better else 1.0
        by_metric = _places({c: sign * s.metric for c, s in scores.items()})
        by_loss = _places({c: s.loss for c, s in scores.items()})
        weight = min(1.0, FEW_ROWS / max(1, len(self.bench.task.data.validation)))
        return sorted(scores, key=lambda c: (by_metric[c] + weight * by_loss[c], len(c.recipe)))

    def best(self, *, treated: bool) -> Candidate | None:
        """Return the best of those candidates that ran on the most seeds."""
        pool = self.ranked(treated=treated)
        most = max((len(self.runs[c]) for c in pool), default=0)
        return next((c for c in self.ranked(treated=treated, seeds=most)), None)

    def unbeaten(self, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """Return those that no other has beaten beyond doubt, on the seeds that all have run on.

        The chance that the best is ever left out, however often this is asked, is at most 5 %; from
        the third seed on it can happen. See :func:`fitwell.studies.statistics.beaten`.
        """
        runs = {c: self.runs.get(c, {}) for c in candidates}
        common = [seed for seed in SEARCH_SEEDS if all(seed in done for done in runs.values())]
        lost = beaten(
            {c: [done[seed].validation.metric for seed in common] for c, done in runs.items()},
            higher_is_better=self.bench.task.higher_is_better,
            step=score_step(self.bench.task, len(self.bench.task.data.validation)),
        )
        return tuple(c for c in candidates if c not in lost)

    def proof_seconds(self, candidate: Candidate) -> float:
        """Return how long a proof of the candidate is estimated to take."""
        arms = (candidate, Candidate())
        return self.bench.forecast(
            Job(arm.recipe, seed, arm.rate, test=True)
            for seed in range(self.proof_seeds)
            for arm in arms
        )

    def provable(self, candidate: Candidate) -> bool:
        """Say whether a proof of the candidate would still end in time, were it next."""
        budget = self.bench.budget
        if budget is None or budget.seconds is None or not candidate.recipe:
            return True
        return budget.can_prove(self.proof_seconds(candidate))

    def left_out(self) -> tuple[str, ...]:
        """Say why candidates could not become the winner."""
        slow = sum(not self.provable(c) for c in self.runs)
        late = say(
            "{recipes} recipes were passed over, since their proof would not end in time: allow "
            "more.",
            recipes=slow,
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
        """Return everything that ran, most seeds and best place first, mere beginnings last."""
        pool = self.ordered({c: self.score(c) for c in self.runs})
        pool.sort(key=lambda c: -len(self.runs[c]))
        whole = [Trial(c.recipe, c.rate, self.score(c), len(self.runs[c])) for c in pool]
        parts = {c: run.validation for c, run in self.begun.items() if c not in self.runs}
        return (*whole, *(Trial(c.recipe, c.rate, parts[c], 0) for c in self.ordered(parts)))


def _places(values: dict[Candidate, float]) -> dict[Candidate, float]:
    """Return the place of each candidate from 0, the smallest value first; equal ones share it."""
    order = sorted(values.values())
    return {c: order.index(value) for c, value in values.items()}
