from __future__ import annotations

import pytest

from fitwell.records import RemedySpec
from fitwell.studies.device_table import DeviceTable, Load, Point
from fitwell.studies.job import Job
from fitwell.studies.pace import Pace
from fitwell.studies.plan import Plan

LOAD = Load("chain", 3, 5_000, 160_000)
TABLE = DeviceTable("cpu", (Point(LOAD, {1: 1.0, 2: 2.0, 4: 4.0, 8: 4.0}),))


class Known:
    def key(self, job):
        return tuple(spec.name for spec in job.recipe)

    def load(self, job):
        return LOAD

    def length(self, job):
        return (job.epochs or 10) / 10


def batch(count, *names, epochs=None):
    return tuple(Job(tuple(map(RemedySpec, names)), s, epochs=epochs) for s in range(count))


@pytest.fixture
def pace():
    return Pace(Plan(Known(), TABLE))


def test_before_the_first_run_nothing_is_known(pace):
    assert not pace.known
    assert pace.seconds(batch(8)) == 0.0


def test_a_stacked_batch_takes_what_its_runs_take_alone_over_the_gain(pace):
    pace.note(batch(4), 3.0)
    assert pace.seconds(batch(1)) == pytest.approx(3.0)
    assert pace.seconds(batch(8)) == pytest.approx(6.0)
    pace.note(batch(8, "L2"), 12.0)
    assert pace.seconds(batch(1, "L2")) == pytest.approx(6.0)


def test_until_a_stack_was_seen_a_batch_is_taken_to_gain_nothing(pace):
    pace.note(batch(1), 3.0)
    assert pace.seconds(batch(4)) == pytest.approx(12.0)
    pace.note(batch(2, "L2"), 3.0)
    assert pace.seconds(batch(4)) == pytest.approx(3.0)


def test_until_a_stack_was_seen_a_forecast_believes_half_of_its_gain(pace):
    pace.note(batch(1), 3.0)
    assert pace.forecast(batch(4)) == pytest.approx(6.0)
    pace.note(batch(2, "L2"), 3.0)
    assert pace.forecast(batch(4)) == pytest.approx(3.0)


def test_half_a_run_takes_half_the_time(pace):
    pace.note(batch(2, epochs=5), 1.0)
    assert pace.seconds(batch(2)) == pytest.approx(2.0)


def test_a_structure_never_seen_is_taken_for_the_mean(pace):
    pace.note(batch(1), 1.0)
    pace.note(batch(1, "L2"), 3.0)
    assert pace.seconds(batch(1, "Mixup")) == pytest.approx(2.0)


def test_estimates_follow_a_machine_that_becomes_slow(pace):
    pace.note(batch(1), 1.0)
    pace.note(batch(1, "L2"), 2.0)
    for _ in range(4):
        pace.note(batch(1), 3.0)
    assert pace.seconds(batch(1)) == pytest.approx(3.0)
    assert pace.seconds(batch(1, "L2")) == pytest.approx(6.0)
    for _ in range(4):
        pace.note(batch(1), 1.0)
    assert pace.seconds(batch(1)) == pytest.approx(1.0)


def test_a_forecast_spreads_the_batches_over_the_workers():
    pace = Pace(Plan(Known(), TABLE, 2), 2)
    pace.note(batch(4), 1.0)
    pace.note(batch(1, "L2"), 1.0)
    assert pace.forecast([*batch(4), *batch(4, "L2")]) == pytest.approx(1.0)
    assert pace.forecast([]) == 0.0
