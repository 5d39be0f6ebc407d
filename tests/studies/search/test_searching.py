"""The search against a bench that answers from a formula, so that the best recipe is known."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace

import pytest

from fitwell.records import Diagnosis, Finding, RemedySpec, RunRecord, Score
from fitwell.studies.budget import Budget
from fitwell.studies.candidates import Candidate, label
from fitwell.studies.job import Refusal
from fitwell.studies.search import SEARCH_SEEDS, Race, search
from fitwell.studies.search.halving import contend

NAMES = ("Augment", "Dropout", "L2", "LabelSmoothing")
SICK = Diagnosis(
    (Finding("overfitting", "severe", 0.9, (), 0, {}, "", tuple(map(RemedySpec, NAMES))),)
)


class FormulaBench:
    """Scores a job by a function of it; charges the budget as the real bench does."""

    def __init__(self, accuracy, runs=120, *, higher_is_better=True, refuse=()):
        self.accuracy, self.refuse = accuracy, refuse
        self.budget = Budget(None, runs) if runs else None
        self.executor = SimpleNamespace(workers=1)
        self.task = SimpleNamespace(
            higher_is_better=higher_is_better,
            epochs=1,
            metric_name="accuracy",
            data=SimpleNamespace(kind="image", validation=range(1000)),
        )
        self.done = {}

    def has_room(self, runs):
        return self.budget.has_room(runs, 0.0)

    def forecast(self, jobs):
        return float(sum(1 for _ in jobs))

    def refusal(self, recipe):
        return next((f"{s.name} has no place" for s in recipe if s.name in self.refuse), None)

    def run(self, jobs, *, share=None):
        found = {}
        for job in jobs:
            if share is not None:
                if not self.budget.covers(1, share=share):
                    break
                self.budget.runs_spent += 1
            if job not in self.done:
                self.done[job] = self._result(job)
            found[job] = self.done[job]
        return found

    def _result(self, job):
        if any(spec.name in self.refuse for spec in job.recipe):
            return Refusal(label(job.recipe), "it has no place")
        metric = self.accuracy({s.name: dict(s.args) for s in job.recipe}, job.rate, job.seed)
        score = Score(metric, 1 - metric)
        return RunRecord("", job.seed, job.rate, 1, 0, False, score, None, 1.0, 1)


def noise(seed, size=0.002):
    return size * ((seed * 7919) % 13 - 6) / 6


def test_the_best_combination_and_rate_are_found():
    def accuracy(recipe, rate, seed):
        gain = 0.05 * ("Augment" in recipe) + 0.03 * ("Dropout" in recipe)
        gain -= 0.04 * ("L2" in recipe) + 0.03 * ("LabelSmoothing" in recipe)
        return 0.85 + gain + 0.02 * (2 < rate < 6 and bool(recipe)) + noise(seed)

    found = search(FormulaBench(accuracy), SICK)
    assert found.winner is not None
    assert {s.name for s in found.winner.recipe} == {"Augment", "Dropout"}
    assert 2 < found.winner.rate < 6
    assert found.evidence is not None
    assert found.evidence.mean == pytest.approx(0.1, abs=0.001)


def test_what_adds_nothing_is_dropped_and_the_rest_is_measured():
    def accuracy(recipe, rate, seed):
        gain = 0.06 if {"Augment", "Dropout"} <= recipe.keys() else 0.0
        return 0.8 + gain + 0.001 * len(recipe) * (seed == SEARCH_SEEDS[0]) - (0.0005 * len(recipe))

    found = search(FormulaBench(accuracy), SICK)
    assert found.winner is not None
    assert {s.name for s in found.winner.recipe} == {"Augment", "Dropout"}
    assert {c.remedy.name for c in found.contributions} == {"Augment", "Dropout"}
    for contribution in found.contributions:
        assert contribution.effect.mean == pytest.approx(0.06, abs=0.001)


@pytest.mark.parametrize("runs", [24, 62, 79, 120])
def test_whatever_the_budget_the_winner_comes_with_what_each_of_its_remedies_adds(runs):
    def accuracy(recipe, rate, seed):
        more = 0.01 * len(recipe) if seed == SEARCH_SEEDS[0] else -0.008 * (len(recipe) - 1)
        return 0.8 + 0.06 * ("Augment" in recipe) + more - 0.001 * (rate != 1)

    found = search(FormulaBench(accuracy, runs), SICK)
    assert found.winner is not None
    assert {c.remedy for c in found.contributions} == set(found.winner.recipe)


def test_where_nothing_helps_there_is_no_winner():
    def accuracy(recipe, rate, seed):
        return 0.9 - 0.01 * len(recipe)

    found = search(FormulaBench(accuracy), SICK)
    assert found.winner is None
    assert found.contributions == ()


@pytest.mark.parametrize(("seconds", "in_time"), [(10.0, False), (1e6, True)])
def test_a_recipe_that_cannot_be_proven_in_time_is_not_told_as_no_better(seconds, in_time):
    bench = FormulaBench(lambda recipe, rate, seed: 0.1 + 0.5 * bool(recipe))
    bench.budget = Budget(seconds, 60, now=lambda: 0.0)
    found = search(bench, SICK)
    assert found.in_time is in_time
    assert (found.winner is not None) is in_time


@pytest.mark.slow
def test_noise_alone_does_not_win_often():
    wins = 0
    for trial in range(10):

        def accuracy(recipe, rate, seed, trial=trial):
            return 0.9 + 0.01 * Random(f"{recipe}{rate}{seed}{trial}").gauss(0, 1)

        wins += search(FormulaBench(accuracy), SICK).winner is not None
    assert wins <= 7


def test_a_rate_that_alone_explains_the_gain_is_given_to_the_untreated_too():
    def accuracy(recipe, rate, seed):
        return 0.9 if rate == 0.3 else 0.5

    found = search(FormulaBench(accuracy), SICK)
    assert found.untreated.rate == 0.3
    assert found.winner is None


def test_a_metric_that_points_down_is_followed_down():
    def error(recipe, rate, seed):
        return 10.0 - 4.0 * ("Dropout" in recipe) + noise(seed)

    bench = FormulaBench(error, higher_is_better=False)
    found = search(bench, SICK)
    assert found.winner is not None
    assert {s.name for s in found.winner.recipe} == {"Dropout"}
    assert found.evidence is not None
    assert found.evidence.mean == pytest.approx(4.0, abs=0.01)


def test_a_remedy_that_cannot_serve_is_left_out_and_said():
    def accuracy(recipe, rate, seed):
        return 0.8 + 0.1 * ("Dropout" in recipe) + noise(seed)

    found = search(FormulaBench(accuracy, refuse=("Augment",)), SICK)
    assert found.winner is not None
    assert "Augment" not in {s.name for s in found.winner.recipe}
    assert any("Augment" in said and "no place" in said for said in found.refused)


@pytest.mark.parametrize("runs", [1, 2, 3, 5, 8, 13, 30])
def test_no_number_of_runs_is_too_small_and_none_is_exceeded(runs):
    bench = FormulaBench(lambda recipe, rate, seed: 0.5 + 0.1 * bool(recipe) + noise(seed), runs)
    found = search(bench, SICK)
    assert len(bench.done) <= runs + 1  # the diagnosed run comes for free
    assert len(found.trials) >= 1


def test_the_same_search_takes_the_same_decisions():
    def accuracy(recipe, rate, seed):
        return 0.8 + 0.03 * len(recipe) - 0.01 * len(recipe) ** 2 + noise(seed)

    one, two = FormulaBench(accuracy), FormulaBench(accuracy)
    assert search(one, SICK) == search(two, SICK)
    assert list(one.done) == list(two.done)


def test_it_ends_before_its_budget_when_nothing_gets_better():
    bench = FormulaBench(lambda recipe, rate, seed: 0.9 + noise(seed), 10_000)
    search(bench, SICK)
    assert len(bench.done) < 200


def test_the_untreated_and_the_winner_are_compared_on_several_seeds():
    bench = FormulaBench(lambda recipe, rate, seed: 0.5 + 0.2 * bool(recipe) + noise(seed))
    found = search(bench, SICK)
    assert found.evidence is not None
    assert found.evidence.pairs == len(SEARCH_SEEDS) - 1


def test_the_loss_decides_between_equal_metrics():
    bench = FormulaBench(lambda recipe, rate, seed: 0.5)
    race = Race(bench)
    race.run([Candidate((), 1.0), Candidate((), 3.0)], SEARCH_SEEDS[:1], 1.0)
    worse, better = race.runs
    run = race.runs[better][SEARCH_SEEDS[0]]
    race.runs[better][SEARCH_SEEDS[0]] = RunRecord(**{**vars(run), "validation": Score(0.5, 0.1)})
    assert race.ranked(treated=False) == [better, worse]


def contending(gap):
    """Seeds that each of three leaders got, of which the first is better by a gap."""

    def accuracy(recipe, rate, seed):
        return 0.8 + gap * ("Augment" in recipe) + noise(seed * (3 + len(str(recipe))), 0.01)

    race = Race(FormulaBench(accuracy, 1000))
    leaders = [Candidate((RemedySpec(name),)) for name in ("Augment", "Dropout", "L2")]
    race.run([Candidate(), *leaders], SEARCH_SEEDS, 1.0)
    contend(race, [Candidate()], leaders)
    return [len(race.runs[c]) for c in (Candidate(), *leaders)]


def test_leaders_that_nobody_has_beaten_get_further_seeds_and_the_untreated_with_them():
    assert contending(0.0) == [8, 8, 8, 8]


def test_leaders_that_are_beaten_beyond_doubt_get_no_more():
    assert contending(0.5) == [4, 4, 4, 4]
