"""Curves cut short, on a bench whose curves come from a formula."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fitwell.records import Curves, RemedySpec, RunRecord, Score
from fitwell.studies.candidates import Candidate
from fitwell.studies.job import Job
from fitwell.studies.search.beginnings import Beginnings, rank_correlation, score_at
from fitwell.studies.search.exploring import explore
from fitwell.studies.search.race import SEARCH_SEEDS, Race
from fitwell.studies.training import fit

EPOCHS = 20


class CurveBench:
    """Answers with the first epochs of a curve; counts what they cost."""

    def __init__(self, curve, runs=1000.0):
        self.curve, self.left, self.jobs = curve, runs, []
        self.budget, self.executor = None, SimpleNamespace(workers=1)
        data = SimpleNamespace(kind="image", validation=range(1000))
        self.task = SimpleNamespace(
            higher_is_better=True, epochs=EPOCHS, data=data, scores_shares=False
        )

    def refusal(self, recipe):
        return None

    def run(self, jobs, *, share=None):
        found = {}
        for job in jobs:
            cost = (job.epochs or EPOCHS) / EPOCHS
            if share is not None and self.left < cost:
                break
            self.left -= cost
            self.jobs.append(job)
            found[job] = self._record(job)
        return found

    def _record(self, job):
        whole = [self.curve(job, epoch) for epoch in range(EPOCHS)]
        points = whole[: job.epochs or EPOCHS]
        losses = tuple(1 - p for p in points)
        best = max(points)
        curves = Curves(losses, losses, tuple(points), tuple(points))
        score = Score(best, 1 - best)
        return RunRecord("", job.seed, job.rate, 1, 0, False, score, None, 1.0, 1, curves)


def candidates(count):
    return [
        Candidate((RemedySpec("Dropout", {"rate": round(0.02 * (i + 1), 2)}),))
        for i in range(count)
    ]


def merit(job):
    return next((s.args["rate"] for s in job.recipe if s.name == "Dropout"), 0.0)


def steady(job, epoch):
    return 0.5 * merit(job) + 0.01 * epoch


def crossing(job, epoch):
    """What is best in the end starts slowest."""
    return 0.5 + merit(job) * (epoch - EPOCHS / 2) / EPOCHS


def begun(curve, count=12):
    race = Race(CurveBench(curve))
    race.run(candidates(count), SEARCH_SEEDS[:1], 1.0)
    return Beginnings(race)


def test_beginnings_are_believed_where_they_told_the_ends():
    assert begun(steady).tell()


def test_beginnings_are_not_believed_where_slow_starts_end_best():
    assert not begun(crossing).tell()


@pytest.mark.parametrize(("count", "known"), [(7, False), (8, True), (9, True)])
def test_beginnings_are_not_believed_before_enough_runs_are_known(count, known):
    assert begun(steady, count).tell() is known


def test_runs_of_few_epochs_are_never_cut():
    beginnings = begun(steady)
    beginnings.race.bench.task.epochs = 7
    assert not beginnings.tell()


def test_the_best_quarter_is_promoted_and_one_of_another_structure():
    race = Race(CurveBench(steady))
    pool = candidates(11)
    other = Candidate((RemedySpec("L2", {"strength": 0.1}), RemedySpec("Dropout", {"rate": 0.01})))
    pool.append(other)
    race.begin(pool, 5, 1.0)
    promoted = Beginnings(race).promoted(pool)
    assert promoted == [pool[10], pool[9], other]


def test_the_score_at_a_rung_is_that_of_the_shorter_run():
    bench = CurveBench(crossing)
    for candidate in candidates(4):
        seed = SEARCH_SEEDS[0]
        whole, part = candidate.job(seed), candidate.job(seed, 5)
        done = bench.run([whole, part])
        assert score_at(bench.task, done[whole], 5) == done[part].validation


def test_a_curve_without_a_finite_point_has_no_score():
    curves = Curves((0.1,), (float("nan"),), (0.1,), (0.5,))
    run = RunRecord("", 0, 1.0, 1, 0, True, Score(0, 1), None, 1.0, 1, curves)
    assert score_at(CurveBench(steady).task, run, 1) is None


def test_the_score_at_a_rung_is_that_of_a_real_run_that_ended_there(make_task):
    task = make_task(epochs=24)
    for seed in range(4):
        whole = fit(task, Job((), seed, rate=30.0)).run
        for epochs in (1, 6, 12, 18):
            short = fit(task, Job((), seed, rate=30.0, epochs=epochs)).run
            assert score_at(task, whole, epochs) == short.validation


def test_orders_that_agree_correlate_at_one_and_reversed_ones_at_minus_one():
    order = candidates(5)
    assert rank_correlation(order, order) == pytest.approx(1)
    assert rank_correlation(order, order[::-1]) == pytest.approx(-1)


class Ladder:
    """Proposes one better candidate after another."""

    def __init__(self):
        self.next_rate = 0.0

    def _some(self, count):
        found = []
        for _ in range(count):
            self.next_rate = round(self.next_rate + 0.005, 3)
            found.append(Candidate((RemedySpec("Dropout", {"rate": self.next_rate}),)))
        return found

    def first(self):
        return self._some(8)

    def next(self, ordered, *, size, number):
        return self._some(size)


@pytest.mark.parametrize(("curve", "cut"), [(steady, True), (crossing, False)])
def test_exploring_cuts_curves_only_where_that_was_seen_to_be_safe(curve, cut):
    bench = CurveBench(curve, runs=40.0)
    race = Race(bench)
    explore(race, Ladder(), share=1.0)
    assert any(job.epochs for job in bench.jobs) is cut
    assert race.best(treated=True) is not None
    assert 0 <= bench.left < 3
    assert len(race.trials()) == len(race.tried)


def test_the_eventual_best_survives_where_beginnings_are_believed():
    bench = CurveBench(steady, runs=40.0)
    race = Race(bench)
    explore(race, Ladder(), share=1.0)
    whole = max(merit(c.job(0)) for c in race.runs)
    complete_generations = max(merit(c.job(0)) for c in race.begun)
    assert whole >= complete_generations - 0.06
