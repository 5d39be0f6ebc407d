"""What the beginning of a run tells of its end: only where that was seen are curves cut short."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import final

from fitwell.errors import require
from fitwell.records import RunRecord, Score
from fitwell.studies.candidates import Candidate
from fitwell.studies.search.race import SEARCH_SEEDS, Race
from fitwell.studies.standing import standing_of
from fitwell.tasks import Task

RUNG = 0.25
"""Share of the epochs that a beginning has."""
LEAST_EPOCHS = 8
"""Epochs below which a run is too short to be cut."""
KNOWN = 8
"""Whole runs that must have been seen before beginnings are believed."""
TELLING = 0.7
"""Least rank correlation of beginnings and ends. Recipes drawn blindly have 0.76 to 0.94 on six
small tasks; those that a diagnosis of overfitting names have 0.28 to 0.77 on four (a slow start is
what they are for), those against vanishing gradients 0.83."""


@final
class Beginnings:
    """Decides from first epochs which candidates are run to the end.

    A slow start - a small rate, a warm-up, a strong penalty - is no bad end. So beginnings are
    believed only if they told the ends of the runs that this very task has seen: over the treated
    candidates with a whole run, ranks at the rung and at the end must agree, and the best at the
    end must have been among the best quarter at the rung.

    Args:
        race: Holds the runs; curves of whole ones show their beginnings too.

    References:
        Jamieson & Talwalkar, "Non-stochastic Best Arm Identification", 2016, arXiv:1502.07943.
    """

    def __init__(self, race: Race) -> None:
        self.race = race
        self.epochs = math.ceil(RUNG * race.bench.task.epochs)

    def tell(self) -> bool:
        """Say whether beginnings have told ends on this task."""
        if self.race.bench.task.epochs < LEAST_EPOCHS:
            return False
        early = self._of_whole_runs()
        if len(early) < KNOWN:
            return False
        first = SEARCH_SEEDS[0]
        late = {c: self.race.runs[c][first].validation for c in early}
        begun, ended = self.race.ordered(early), self.race.ordered(late)
        best = set(begun[: math.ceil(RUNG * len(begun))])
        return ended[0] in best and rank_correlation(begun, ended) >= TELLING

    def promoted(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Return the best quarter by their first epochs, the best of another structure among them.

        Args:
            candidates: Those that have begun together.
        """
        scores = {c: self.race.begun[c].validation for c in candidates if c in self.race.begun}
        ranked = self.race.ordered(scores)
        best = ranked[: math.ceil(RUNG * len(ranked))]
        held = {c.structure for c in best}
        others = [c for c in ranked[len(best) :] if c.structure not in held]
        if len(best) > 1 and len(held) == 1:
            best[-1:] = others[:1] or best[-1:]
        return best

    def tried(self) -> list[Candidate]:
        """Return all treated candidates, the best first; those that only began come last."""
        whole = self.race.ranked(treated=True)
        parts = {c: run.validation for c, run in self.race.begun.items() if c not in set(whole)}
        return [*whole, *self.race.ordered(parts)]

    def _of_whole_runs(self) -> Mapping[Candidate, Score]:
        """Return how the treated candidates with a whole run stood at the rung."""
        first = SEARCH_SEEDS[0]
        whole = {c: runs[first] for c, runs in self.race.runs.items() if c.recipe and first in runs}
        scores = {c: score_at(self.race.bench.task, run, self.epochs) for c, run in whole.items()}
        return {c: score for c, score in scores.items() if score is not None}


def score_at(task: Task, run: RunRecord, epochs: int) -> Score | None:
    """Return the score that a run would have had if it had ended after so many epochs.

    Args:
        task: What was trained; it says which epoch is kept.
        run: A whole run, whose curves are read.
        epochs: How many.
    """
    curves, standing = run.curves, standing_of(task)
    seen = map(Score, curves.train_metric, curves.train_loss)
    held_out = map(Score, curves.validation_metric, curves.validation_loss)
    for before, after in islice(zip(seen, held_out, strict=True), epochs):
        standing.note(before, after, finite=True)
    return standing.best


def rank_correlation(one: Sequence[Candidate], other: Sequence[Candidate]) -> float:
    """Return Spearman's correlation of two orders of the same candidates, at least two."""
    places = {candidate: place for place, candidate in enumerate(other)}
    ranks = [places[candidate] for candidate in one]
    return float(require("scipy.stats").spearmanr(range(len(one)), ranks).statistic)
