import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitwell.detectors import NotLearning, OscillatingLoss
from fitwell.errors import ThresholdError
from fitwell.records import Quantity, Row, Trace
from fitwell.testing import DetectorContract
from fitwell.testing.made_traces import curves


def wave(low, high, *, period=40, steps=200):
    """A triangle between two levels."""
    share = [abs(i % period - period / 2) / (period / 2) for i in range(steps)]
    return [low + (high - low) * s for s in share]


FALLING = [0.05 + math.exp(-i / 30) for i in range(200)]


class TestOscillatingLoss(DetectorContract):
    def detector(self):
        return OscillatingLoss()

    def sick(self):
        return curves(wave(0.4, 1.0))

    def healthy(self):
        return curves(FALLING)


@pytest.mark.parametrize(("cycles", "found"), [(2, 0), (4, 1)])
def test_it_must_happen_again_and_again(cycles, found):
    losses = wave(0.4, 1.0)[: 40 * cycles] + [0.8] * (200 - 40 * cycles)
    assert len(list(OscillatingLoss().detect(curves(losses)))) == found


def test_a_loss_that_bounces_on_its_way_down_is_sound():
    losses = [w * math.exp(-i / 60) for i, w in enumerate(wave(0.5, 1.0))]
    assert not list(OscillatingLoss().detect(curves(losses)))


def test_noise_of_single_batches_is_no_oscillation():
    draw = random.Random(0)
    losses = [0.5 * draw.lognormvariate(0, 0.8) for _ in range(400)]
    assert not list(OscillatingLoss().detect(curves(losses)))


def test_waves_at_the_floor_are_sound():
    assert not list(OscillatingLoss().detect(curves(wave(0.02, 0.12))))


def test_a_cyclic_learning_rate_makes_waves_of_its_own():
    trace = curves(wave(0.4, 1.0))
    rows = [Row(10 * i, Quantity.LEARNING_RATE, v) for i, v in enumerate(wave(0.01, 0.1))]
    assert not list(OscillatingLoss().detect(Trace([*trace.rows, *rows], trace.facts)))


def test_it_began_at_the_first_low():
    (finding,) = OscillatingLoss().detect(curves(wave(0.4, 1.0)))
    assert 200 <= finding.since <= 300
    assert finding.evidence["swings"] >= 4


class TestNotLearning(DetectorContract):
    def detector(self):
        return NotLearning()

    def sick(self):
        return curves([1.0 + 0.02 * math.sin(i) for i in range(100)])

    def healthy(self):
        return curves(FALLING)


@pytest.mark.parametrize(("level", "found"), [(0.92, 0), (0.94, 1)])
def test_the_loss_must_stay_at_that_of_a_constant_guess(level, found):
    assert len(list(NotLearning().detect(curves([level] * 100)))) == found


def test_without_the_loss_of_a_guess_the_first_one_counts():
    assert list(NotLearning().detect(curves([5.0] * 100, chance=None)))
    assert not list(NotLearning().detect(curves([5.0] * 20 + [4.0] * 80, chance=None)))


def test_a_high_start_that_falls_to_a_constant_guess_has_learned_nothing():
    losses = [1.0 + 4 * math.exp(-i / 5) for i in range(200)]
    assert list(NotLearning().detect(curves(losses)))


def test_a_loss_that_still_falls_is_left_to_others():
    assert not list(NotLearning().detect(curves([1.2 - 0.001 * i for i in range(200)])))


@pytest.mark.parametrize("detector", [NotLearning(), OscillatingLoss()])
def test_where_the_loop_makes_the_targets_the_loss_is_an_equilibrium(detector):
    sick = curves([1.0] * 100) if detector == NotLearning() else curves(wave(0.4, 1.0))
    rows = [Row(s, Quantity.TARGET_MEAN, 0.5) for s in range(10)]
    inputs = [Row(s, Quantity.INPUT_MEAN, 0.1 * s) for s in range(10)]
    facts = replace(sick.facts, loss="binary_cross_entropy")
    assert list(detector.detect(Trace([*sick.rows, *rows], facts)))
    assert not list(detector.detect(Trace([*sick.rows, *rows, *inputs], facts)))


def test_short_runs_are_left_alone():
    assert not list(NotLearning().detect(curves([1.0, 1.0, 1.0])))


def with_outputs(losses, spread, loss=""):
    """Outputs between -5 and 5."""
    trace = curves(losses)
    quantities = (Quantity.OUTPUT_SPREAD, Quantity.OUTPUT_MIN, Quantity.OUTPUT_MAX)
    rows = [Row(990, q, v) for q, v in zip(quantities, (spread, -5.0, 5.0), strict=True)]
    return Trace([*trace.rows, *rows], replace(trace.facts, loss=loss))


@pytest.mark.parametrize(("spread", "said"), [(0.0, "the same of every row"), (1.0, "no better")])
def test_it_says_whether_the_outputs_are_constant(spread, said):
    (finding,) = NotLearning().detect(with_outputs([1.0] * 100, spread))
    assert said in finding.explanation
    assert finding.evidence["variety"] == spread / 10


@pytest.mark.parametrize(("spread", "found"), [(0.29, 1), (0.31, 0)])
def test_who_says_the_same_of_every_row_has_only_learned_how_frequent_each_target_is(spread, found):
    losses = [1.0] + [0.7] * 99
    trace = with_outputs(losses, spread, "cross_entropy")
    assert len(list(NotLearning().detect(trace))) == found
    assert not list(NotLearning().detect(with_outputs(losses, spread, "mse")))
    numbers = with_outputs(losses, spread, "mse")
    numbers.rows.append(Row(0, Quantity.NEIGHBOR_DISAGREEMENT, 1.0))
    assert len(list(NotLearning().detect(numbers))) == found


def test_where_neighbours_disagree_the_targets_may_belong_to_other_rows():
    trace = curves([1.0] * 100)
    rows = [Row(0, Quantity.NEIGHBOR_DISAGREEMENT, 1.0)]
    (finding,) = NotLearning().detect(Trace([*trace.rows, *rows], trace.facts))
    assert finding.severity == "moderate"
    assert "belongs to its inputs" in finding.advice


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_the_unit_of_the_loss_does_not_matter(scale, seed):
    draw = random.Random(seed)
    for base in (FALLING, wave(0.4, 1.0), [1.0] * 200):
        losses = [v + draw.gauss(0, 0.02) for v in base]
        kept = curves(losses)
        moved = curves([v * scale for v in losses])
        moved = Trace(moved.rows, replace(moved.facts, chance_loss=scale))
        for detector in (OscillatingLoss(), NotLearning()):
            found = [[f.severity for f in detector.detect(t)] for t in (kept, moved)]
            assert found[0] == found[1]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), noise=st.floats(0, 0.5), pace=st.floats(10, 60))
def test_noise_on_a_healthy_curve_stays_without_finding(seed, noise, pace):
    draw = random.Random(seed)
    losses = [0.05 + math.exp(-i / pace) * draw.lognormvariate(0, noise) for i in range(200)]
    for detector in (OscillatingLoss(), NotLearning()):
        assert not list(detector.detect(curves(losses)))


@pytest.mark.parametrize("every", [2, 4])
def test_leaving_out_losses_changes_no_judgement(every):
    for losses in (wave(0.4, 1.0), FALLING, [1.0] * 200):
        full, part = curves(losses), curves(losses)
        part.rows[:] = [r for r in part.rows if r.step // 10 % every == 0]
        for detector in (OscillatingLoss(), NotLearning()):
            found = [[f.severity for f in detector.detect(t)] for t in (full, part)]
            assert found[0] == found[1]


@pytest.mark.parametrize("detector", [OscillatingLoss(), NotLearning()])
def test_without_a_training_loss_they_say_so(detector):
    assert "training loss" in detector.unjudged(Trace())


def test_limits_out_of_range_are_refused():
    with pytest.raises(ThresholdError, match="min_swings"):
        OscillatingLoss(min_swings=0)
    with pytest.raises(ThresholdError, match="min_left"):
        NotLearning(min_left=0.0)
