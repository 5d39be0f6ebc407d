from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwell.records import RemedySpec
from fitwell.studies.device_table import DeviceTable, Load, Point
from fitwell.studies.job import Job
from fitwell.studies.plan import Plan, makespan

SMALL = Load("chain", 3, 5_000, 160_000)
LARGE = Load("chain", 3, 800_000, 100_000_000)
TABLE = DeviceTable(
    "cpu",
    (
        Point(SMALL, {1: 1.0, 2: 1.9, 4: 3.5, 8: 6.0, 16: 8.0, 32: 8.1}),
        Point(LARGE, {1: 1.0, 2: 0.9, 4: 0.7}),
    ),
)


class Known:
    """Structures by the names of the remedies; ``alone`` cannot be stacked."""

    def __init__(self, load: Load = SMALL) -> None:
        self.given = load
        self.asked = 0

    def key(self, job):
        return tuple(spec.name for spec in job.recipe), job.epochs

    def load(self, job):
        self.asked += 1
        return None if job.arm == "alone" else self.given

    def length(self, job):
        return (job.epochs or 10) / 10


def jobs(count, *names, epochs=None, arm=""):
    recipe = tuple(RemedySpec(name) for name in names)
    return [Job(recipe, seed, epochs=epochs, arm=arm) for seed in range(count)]


def sizes(plan, wanted):
    return [len(batch) for batch in plan.batches(wanted)]


def test_runs_of_one_structure_are_split_evenly_into_as_few_batches_as_the_table_allows():
    assert sizes(Plan(Known(), TABLE), jobs(40)) == [13, 13, 14]


def test_runs_of_other_structures_or_lengths_do_not_share_a_batch():
    wanted = [*jobs(3), *jobs(2, "Dropout"), *jobs(4, epochs=5)]
    batches = Plan(Known(), TABLE).batches(wanted)
    assert [len(batch) for batch in batches] == [3, 2, 4]
    assert [job for batch in batches for job in batch] == wanted


def test_runs_that_gain_nothing_or_cannot_be_stacked_stay_alone():
    assert sizes(Plan(Known(LARGE), TABLE), jobs(3)) == [1, 1, 1]
    assert sizes(Plan(Known(), TABLE), jobs(3, arm="alone")) == [1, 1, 1]
    assert sizes(Plan(Known(), DeviceTable("none", ())), jobs(3)) == [1, 1, 1]


def test_no_network_is_built_for_a_run_that_has_no_fellow():
    known = Known()
    assert sizes(Plan(known, TABLE), [*jobs(1), *jobs(1, "L2")]) == [1, 1]
    assert known.asked == 0


def test_workers_share_a_batch_where_that_ends_sooner():
    slow = DeviceTable("cpu", (Point(SMALL, {1: 1.0, 2: 1.5, 4: 1.8, 8: 2.0, 16: 2.1}),))
    assert sizes(Plan(Known(), slow, workers=1), jobs(8)) == [8]
    assert sizes(Plan(Known(), slow, workers=2), jobs(8)) == [4, 4]


def test_two_equal_groups_are_not_split_further_for_two_workers():
    slow = DeviceTable("cpu", (Point(SMALL, {1: 1.0, 2: 1.5, 4: 1.8, 8: 2.0, 16: 2.1}),))
    wanted = [*jobs(8), *jobs(8, "L2")]
    assert sizes(Plan(Known(), slow, workers=2), wanted) == [8, 8]


@given(
    counts=st.lists(st.integers(1, 70), min_size=1, max_size=4),
    workers=st.integers(1, 4),
    large=st.booleans(),
)
def test_every_job_is_in_exactly_one_batch_and_none_is_larger_than_the_table_allows(
    counts, workers, large
):
    wanted = [job for n, count in enumerate(counts) for job in jobs(count, *["L2"] * n)]
    plan = Plan(Known(LARGE if large else SMALL), TABLE, workers)
    batches = plan.batches(wanted)
    assert sorted(job.key for batch in batches for job in batch) == sorted(j.key for j in wanted)
    assert max(map(len, batches)) <= (1 if large else 16)
    assert [batch[0] for batch in batches] == sorted(
        (batch[0] for batch in batches), key=wanted.index
    )


@pytest.mark.parametrize("load", [SMALL, LARGE])
def test_the_number_stacked_never_gains_less_than_none(load):
    point = TABLE.nearest(load)
    assert point.gain(point.most) >= 1.0


def test_makespan_against_all_assignments():
    costs = [5.0, 4.0, 3.0, 3.0, 2.0, 1.0]
    best = min(
        max(sum(c for c, w in zip(costs, where, strict=True) if w == k) for k in (0, 1))
        for where in product((0, 1), repeat=len(costs))
    )
    assert best <= makespan(costs, 2) <= 7 / 6 * best


def test_order_of_the_jobs_changes_the_order_of_batches_and_not_their_structures():
    wanted = [*jobs(5), *jobs(5, "L2")]
    plan = Plan(Known(), TABLE)
    there = {frozenset(batch) for batch in plan.batches(wanted)}
    back = {frozenset(batch) for batch in plan.batches(wanted[::-1])}
    assert there == back


def test_a_job_given_twice_is_in_one_batch():
    one = jobs(1)[0]
    assert Plan(Known(), TABLE).batches([one, one, replace(one)]) == [(one,)]
