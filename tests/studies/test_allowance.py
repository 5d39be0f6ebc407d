from __future__ import annotations

import pytest

from fitwell.studies.allowance import Allowance
from fitwell.studies.budget import LEAST_SEARCH, Budget
from fitwell.studies.job import Job


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Second:
    """A pace of so many seconds a run."""

    def __init__(self, each: float = 1.0) -> None:
        self.each = each

    def seconds(self, batch):
        return len(batch) * self.each


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def budget(clock):
    budget = Budget(100, now=clock)
    budget.start()
    budget.runs_spent = LEAST_SEARCH
    return budget


def batch(count):
    return tuple(Job((), seed) for seed in range(count))


def test_a_batch_that_ends_long_before_the_time_is_over_goes_whole(budget):
    assert Allowance(budget, 1.0).fitting(batch(30), Second()) == 30


def test_near_the_end_a_batch_is_cut(budget, clock):
    clock.now = 50  # 10 seconds of the search are left
    assert Allowance(budget, 1.0).fitting(batch(16), Second()) == 4


def test_a_single_run_may_take_all_that_is_left_and_not_more(budget, clock):
    clock.now = 50
    assert Allowance(budget, 1.0).fitting(batch(1), Second(10.0)) == 1
    assert Allowance(budget, 1.0).fitting(batch(4), Second(10.0)) == 1
    assert Allowance(budget, 1.0).fitting(batch(4), Second(10.1)) == 0


def test_the_first_six_runs_may_use_all_the_time_of_the_search(budget):
    opening = Allowance(budget, 0.1)
    assert opening.fitting(batch(1), Second(7.0)) == 0
    budget.runs_spent = LEAST_SEARCH - 1
    assert opening.fitting(batch(1), Second(7.0)) == 1
    assert opening.fitting(batch(1), Second(60.0)) == 1
    assert opening.fitting(batch(1), Second(60.1)) == 0


def test_without_a_limit_of_time_no_batch_is_cut_and_no_pace_asked():
    allowance = Allowance(Budget(None, 10), 1.0)
    assert allowance.fitting(batch(64), None) == 64


def test_runs_are_spent_by_their_length():
    budget = Budget(None, 10)
    allowance = Allowance(budget, 0.5)
    assert allowance.covers(5)
    allowance.spend(2.5)
    assert allowance.covers(2.5)
    assert not allowance.covers(3)
