from __future__ import annotations

import pytest

from fitwell.errors import BadInput, BudgetTooSmall
from fitwell.studies.budget import Budget, parse_budget, spelled


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("2min", 120), ("1.5h", 5400), (" 2 min ", 120), (".5s", 0.5)],
)
def test_a_number_with_a_unit_is_read(text, seconds):
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["1", "banana", "-2min", "0s", "2 minutes", "", "1e3s", "nan s"])
def test_anything_else_is_refused_in_one_line(text):
    with pytest.raises(BadInput) as caught:
        parse_budget(text)
    assert "\n" not in str(caught.value)
    assert "2min" in str(caught.value)


@pytest.mark.parametrize("seconds", [0.2, 1, 59.5, 119, 121, 4000])
def test_what_is_needed_is_spelled_as_a_budget_that_covers_it(seconds):
    assert seconds <= parse_budget(spelled(seconds)) < seconds + 60


def test_a_limit_is_needed():
    with pytest.raises(BadInput, match="limit"):
        Budget(None)


def test_runs_below_one_are_refused():
    with pytest.raises(BadInput, match="at least 1"):
        Budget(None, 0)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_clock_starts_at_the_first_run_and_goes_on_from_what_was_spent():
    clock = Clock()
    budget = Budget(100, spent=7, now=clock)
    clock.now = 50
    assert budget.elapsed == 7
    budget.start()
    clock.now = 60
    assert budget.elapsed == 17


def test_forty_percent_of_the_time_is_kept_for_the_proof():
    clock = Clock()
    budget = Budget(100, now=clock)
    budget.start()
    assert budget.search_seconds == 60
    clock.now = 58
    assert budget.seconds_left(1.0) == 2


def test_shares_of_the_search_count_from_its_beginning():
    clock = Clock()
    budget = Budget(100, now=clock)
    budget.start()
    clock.now = 20
    budget.begin_search()
    assert budget.seconds_left(0.5) == 20
    assert budget.seconds_left(1.0) == 40


def test_a_long_proof_keeps_more():
    budget = Budget(100)
    budget.reserve(60)
    assert budget.search_seconds == 25


def test_runs_alone_never_read_the_clock():
    def broken() -> float:
        raise AssertionError("the clock was read")

    budget = Budget(None, 4, now=broken)
    assert [budget.covers(runs, share=0.5) for runs in (1, 2, 3)] == [True, True, False]
    assert [budget.covers(runs, share=1.0) for runs in (4, 5)] == [True, False]
    assert budget.seconds_left(1.0) is None
    assert budget.has_room(4, 1e9)


def test_the_first_run_is_always_granted():
    assert Budget(None, 1).covers(1, share=0.5)


def test_partial_runs_add_up_to_whole_ones():
    budget = Budget(None, 2)
    for _ in range(19):
        budget.runs_spent += 0.1
    assert budget.covers(0.1, share=1.0)
    assert not budget.covers(0.2, share=1.0)


def test_a_budget_too_small_says_what_is_needed():
    with pytest.raises(BudgetTooSmall, match="--budget 31s"):
        Budget(10).require(30.5)


def test_a_budget_that_just_covers_the_least_passes():
    Budget(30).require(30)


def test_a_small_part_of_the_search_can_be_set_aside():
    clock = Clock()
    budget = Budget(100, 50, now=clock)
    budget.start()
    assert budget.search_seconds == 60
    assert not budget.set_aside(11, 1.0)
    assert not budget.set_aside(10, 10.0)
    assert budget.set_aside(10, 8.0)
    assert budget.search_runs == 40
    assert budget.search_seconds == 50


def test_what_is_set_aside_is_not_the_searchs_to_take():
    budget = Budget(None, 50)
    assert budget.set_aside(10, 1e9)
    budget.runs_spent = 40
    assert not budget.covers(1, share=1.0)
    assert not budget.has_room(1, 0.0)
    assert budget.can_follow(10, 1e9)
    assert not budget.can_follow(11, 0.0)


def test_what_follows_the_proof_must_end_in_time():
    clock = Clock()
    budget = Budget(100, now=clock)
    budget.start()
    clock.now = 90
    assert budget.can_follow(1000, 10.0)
    assert not budget.can_follow(1, 10.1)
