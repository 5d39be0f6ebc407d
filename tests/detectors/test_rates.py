import math
import random
from dataclasses import replace
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitwell.detectors import LearningRateTooHigh, LearningRateTooLow
from fitwell.detectors.steps import relative_updates, updates_at_later_rates
from fitwell.errors import ThresholdError
from fitwell.records import Facts, Quantity, Row, Trace
from fitwell.testing import DetectorContract
from fitwell.testing.made_traces import layer_facts


def run(losses, update=1e-3, *, gradient=1.0, chance=1.0, cosine=None, disagreement=None, **facts):
    """A trace of two layers of weight norm 10, with the same relative update in each step.

    ``update`` is a number, or a function of the step.
    """
    layers = layer_facts(2)
    rows = []
    for step, loss in enumerate(losses):
        rows.append(Row(step, Quantity.LOSS, loss))
        size = update(step) if callable(update) else update
        for layer in layers if size is not None else ():
            rows += [
                Row(step, Quantity.GRADIENT_NORM, gradient, layer.name),
                Row(step, Quantity.WEIGHT_NORM, 10.0, layer.name),
                Row(step, Quantity.UPDATE_NORM, 10 * size, layer.name),
            ]
        if cosine is not None:
            rows.append(Row(step, Quantity.UPDATE_COSINE, cosine))
    if disagreement is not None:
        rows.append(Row(0, Quantity.NEIGHBOR_DISAGREEMENT, disagreement))
    return Trace(rows, Facts(layers=layers, chance_loss=chance, **facts))


FALLING = [0.05 + math.exp(-i / 30) for i in range(200)]
FLAT = [1.0 + 0.01 * math.sin(i) for i in range(200)]


def huge_start(step):
    return 1.0 if step < 3 else 1e-4


class TestLearningRateTooHigh(DetectorContract):
    def detector(self):
        return LearningRateTooHigh()

    def sick(self):
        return run(FLAT, huge_start)

    def healthy(self):
        return run(FALLING)


@pytest.mark.parametrize(("first", "found"), [(0.29, 0), (0.31, 1)])
def test_the_first_steps_may_change_a_layer_by_three_tenths(first, found):
    trace = run(FLAT, lambda step: first if step == 2 else 1e-4)
    assert len(list(LearningRateTooHigh().detect(trace))) == found


def test_it_began_at_the_largest_of_the_first_steps():
    (finding,) = LearningRateTooHigh().detect(run(FLAT, lambda s: 2.0 if s == 4 else 0.5))
    assert finding.since == 4


def test_large_first_steps_that_end_well_are_sound():
    assert not list(LearningRateTooHigh().detect(run(FALLING, huge_start)))


def test_a_loss_that_explodes_from_a_sound_start_is_named_without_any_update():
    losses = [1.0] * 20 + [5.0 * 1.1**i for i in range(50)]
    (finding,) = LearningRateTooHigh().detect(run(losses, None))
    assert finding.severity == "severe"


def test_a_nan_after_growth_is_named_and_one_from_nothing_is_not():
    grown = [1.0, 1.5, 4.0, 80.0, math.nan, math.nan]
    (finding,) = LearningRateTooHigh().detect(run(grown, None))
    assert finding.since == 3
    assert not list(LearningRateTooHigh().detect(run([1.0, 0.9, 0.8, math.nan], None)))


def test_unsound_first_gradients_are_the_root_instead():
    losses = [1.0] * 20 + [5.0 * 1.1**i for i in range(50)]
    assert not list(LearningRateTooHigh().detect(run(losses, gradient=60.0)))


def test_what_was_learned_and_lost_again_is_named():
    losses = [math.exp(-i / 20) + 0.05 for i in range(100)] + [0.6] * 100
    (finding,) = LearningRateTooHigh().detect(run(losses))
    assert finding.severity == "moderate"
    assert 60 <= finding.since <= 100


def test_a_short_spike_that_is_made_up_for_is_sound():
    losses = list(FALLING)
    losses[100:104] = [6.0, 4.0, 2.0, 1.0]
    assert not list(LearningRateTooHigh().detect(run(losses)))


def test_strong_decay_moves_weights_without_the_rate_being_at_fault():
    trace = run(FLAT, huge_start, weight_decay=20.0)
    trace.rows.append(Row(0, Quantity.LEARNING_RATE, 0.01))
    assert not list(LearningRateTooHigh().detect(trace))


@pytest.mark.parametrize(("cosine", "found"), [(-0.2, 0), (-0.4, 1)])
def test_steps_that_turn_back_on_one_another_are_too_large(cosine, found):
    trace = run(FLAT, 0.01, cosine=cosine)
    assert len(list(LearningRateTooHigh().detect(trace))) == found


@pytest.mark.parametrize(("disagreement", "found"), [(0.1, 1), (0.6, 0)])
def test_an_outcome_is_bad_against_what_near_rows_allow(disagreement, found):
    losses = [max(0.5, math.exp(-i / 20)) for i in range(200)]
    trace = run(losses, huge_start, disagreement=disagreement)
    assert len(list(LearningRateTooHigh().detect(trace))) == found


class TestLearningRateTooLow(DetectorContract):
    def detector(self):
        return LearningRateTooLow()

    def sick(self):
        return run([1.0 - 1e-4 * i for i in range(200)], 1e-5)

    def healthy(self):
        return run(FALLING)


@pytest.mark.parametrize(("update", "found"), [(2.9e-4, 1), (3.1e-4, 0)])
def test_a_step_is_tiny_below_three_ten_thousandths(update, found):
    assert len(list(LearningRateTooLow().detect(run([1.0] + [0.8] * 199, update)))) == found


@pytest.mark.parametrize(("update", "found"), [(8.9e-4, 1), (9.1e-4, 0)])
def test_and_below_nine_ten_thousandths_where_nothing_was_learned(update, found):
    assert len(list(LearningRateTooLow().detect(run(FLAT, update)))) == found


@pytest.mark.parametrize(("steps", "found"), [(900, 1), (1100, 0)])
def test_a_long_run_gets_somewhere_with_small_steps(steps, found):
    """At 2e-4 a step, a thousand steps travel a fifth of the weights' size."""
    assert len(list(LearningRateTooLow().detect(run([1.0] * steps, 2e-4)))) == found


def test_short_runs_are_not_slow():
    assert not list(LearningRateTooLow().detect(run([1.0] * 49, 1e-6)))


@pytest.mark.parametrize(("gradient", "update"), [(1e-5, 1e-6), (0.0, 0.0)])
def test_gradients_that_vanish_are_the_root_instead(gradient, update):
    assert not list(LearningRateTooLow().detect(run(FLAT, update, gradient=gradient)))


def test_a_rate_lowered_at_the_end_of_a_good_run_is_sound():
    assert not list(LearningRateTooLow().detect(run(FALLING, lambda s: 1e-3 if s < 20 else 1e-7)))


def test_small_steps_near_what_can_be_attained_are_sound():
    trace = run([0.8] * 200, 2.9e-4, disagreement=0.75)
    assert not list(LearningRateTooLow().detect(trace))
    assert list(LearningRateTooLow().detect(run([0.8] * 200, 1e-5, disagreement=0.75)))


def test_tokens_have_no_nearness():
    near = run([0.8] * 200, 2.9e-4, disagreement=0.75, input_kind="tokens")
    assert list(LearningRateTooLow().detect(near))


def test_without_updates_a_straight_slow_fall_is_mild():
    draw = random.Random(0)
    losses = [1.0 - 5e-4 * i + draw.gauss(0, 0.01) for i in range(200)]
    (finding,) = LearningRateTooLow().detect(run(losses, None))
    assert finding.severity == "mild"
    assert "update" not in finding.evidence


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_the_unit_of_the_loss_does_not_matter(scale, seed):
    draw = random.Random(seed)
    noisy = [v + draw.gauss(0, 0.05) for v in FALLING]
    for losses, update in ((noisy, 1e-3), (FLAT, huge_start), (FLAT, 1e-5)):
        kept = run(losses, update, gradient=1.0)
        moved = run([v * scale for v in losses], update, gradient=scale, chance=scale)
        for detector in (LearningRateTooHigh(), LearningRateTooLow()):
            found = [[f.severity for f in detector.detect(t)] for t in (kept, moved)]
            assert found[0] == found[1]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), noise=st.floats(0, 0.4), pace=st.floats(10, 60))
def test_noise_on_a_healthy_curve_stays_without_finding(seed, noise, pace):
    draw = random.Random(seed)
    losses = [0.05 + math.exp(-i / pace) * draw.lognormvariate(0, noise) for i in range(200)]
    for update in (1e-3, None):
        for detector in (LearningRateTooHigh(), LearningRateTooLow()):
            assert not list(detector.detect(run(losses, update)))


@pytest.mark.parametrize("detector", [LearningRateTooHigh(), LearningRateTooLow()])
def test_without_a_training_loss_they_say_so(detector):
    assert "train_loss" in detector.unjudged(Trace())
    assert "no update" in detector.unjudged(run(FLAT, None))
    assert detector.unjudged(run(FLAT)) is None


def test_limits_out_of_range_are_refused():
    with pytest.raises(ThresholdError, match="max_early"):
        LearningRateTooHigh(max_early=0.0)
    with pytest.raises(ThresholdError, match="min_steps"):
        LearningRateTooLow(min_steps=1)


@pytest.mark.parametrize(("weights", "found"), [(1.0, 1), (0.4, 0)])
def test_outputs_that_collapse_under_weights_that_stayed_show_too_large_steps(weights, found):
    trace = run(FLAT)
    for step, spread, size in (
        (0, 1.0, 1.0),
        (1, 1.0, 1.0),
        (198, 0.0, weights),
        (199, 0.0, weights),
    ):
        trace.rows += [
            Row(step, Quantity.OUTPUT_SPREAD, spread),
            Row(step, Quantity.OUTPUT_MIN, -2.0),
            Row(step, Quantity.OUTPUT_MAX, 2.0),
            Row(step, Quantity.WEIGHT_NORM, size),
        ]
    assert len(list(LearningRateTooHigh().detect(trace))) == found


def test_a_loss_that_rises_again_under_large_steps_after_a_huge_one():
    losses = [max(0.1, math.exp(-i / 20)) for i in range(150)] + [0.2] * 50
    late = run(losses, lambda s: 1.0 if s < 3 else 0.01, loss="cross_entropy")
    small = run(losses, lambda s: 1.0 if s < 3 else 0.001, loss="cross_entropy")
    found = [len(list(LearningRateTooHigh().detect(t))) for t in (late, small)]
    assert found == [1, 0]


@pytest.mark.parametrize("size", [0.0, 1e-3])
def test_weights_near_zero_are_measured_against_those_of_a_fresh_layer(size):
    """A fresh layer of 100 units has norm 5.8: an update of 0.5 is no large step for it."""
    trace = run(FLAT)
    trace.rows[:] = [
        replace(r, value={Quantity.WEIGHT_NORM: size, Quantity.UPDATE_NORM: 0.5}[r.quantity])
        if r.quantity in (Quantity.WEIGHT_NORM, Quantity.UPDATE_NORM)
        else r
        for r in trace.rows
    ]
    assert not list(LearningRateTooHigh().detect(trace))
    assert relative_updates(trace)[0][1] == pytest.approx(0.5 / (math.sqrt(100 / 3) / 3))


def test_validation_that_is_lower_shows_what_was_learned_under_a_noisy_training_loss():
    trace = run(FLAT, huge_start)
    trace.rows += [Row(s, Quantity.LOSS, 0.2, phase="validation") for s in (150, 199)]
    assert not list(LearningRateTooHigh().detect(trace))


@pytest.mark.parametrize(("lost", "found"), [(10, 0), (40, 1)])
def test_a_divergence_that_costs_much_of_the_run_is_named_although_it_recovers(lost, found):
    losses = [1.0] + [8.0] * lost + [math.exp(-i / 20) for i in range(199 - lost)]
    assert len(list(LearningRateTooHigh().detect(run(losses, huge_start)))) == found


@given(
    st.lists(st.tuples(st.integers(0, 30), st.floats(0, 1, allow_subnormal=False)), max_size=20),
    st.sets(st.integers(0, 30)),
)
def test_an_update_is_read_at_the_median_of_the_rates_from_its_step_on(rates, sampled):
    rates = sorted(rates, key=lambda pair: pair[0])
    trace = run([1.0] * 31, lambda step: 1e-3 if step in sampled else 0.0)
    trace.add(Row(step, Quantity.LEARNING_RATE, rate) for step, rate in rates)
    for step, update in updates_at_later_rates(trace):
        later = [rate for at, rate in rates if at >= step and rate > 0]
        before = [rate for at, rate in rates if at <= step and rate > 0]
        times = max(1.0, median(later) / before[-1]) if later and before else 1.0
        assert update == pytest.approx((1e-3 if step in sampled else 0.0) * times)
