import math
from dataclasses import replace

import pytest

from fitwell.detectors import ExplodingGradients, VanishingGradients
from fitwell.errors import ThresholdError
from fitwell.records import Facts, LayerFact, Quantity, Row, Trace
from fitwell.testing import DetectorContract
from fitwell.testing.made_traces import gradients

LEARNING = [max(0.05, 1 - 0.05 * i) for i in range(30)]


def falling(decades: float, layers: int = 10) -> list[float]:
    """Sensitivity 1 at the output, falling evenly by so many decades toward the input."""
    return [10 ** (-decades * (layers - 1 - i) / (layers - 1)) for i in range(layers)]


class TestVanishingGradients(DetectorContract):
    def detector(self):
        return VanishingGradients()

    def sick(self):
        return gradients(falling(8))

    def healthy(self):
        return gradients(falling(1))


@pytest.mark.parametrize(("decades", "found"), [(2.9, 0), (3.1, 1)])
def test_a_fall_counts_from_three_decades_on(decades, found):
    assert len(list(VanishingGradients().detect(gradients(falling(decades))))) == found


@pytest.mark.parametrize(("decades", "found"), [(3.9, 0), (4.1, 1)])
def test_before_training_it_takes_four_decades(decades, found):
    trace = gradients(falling(decades), losses=[1.0])
    assert len(list(VanishingGradients().detect(trace))) == found


def test_the_evidence_is_the_fall_and_the_ratio_of_first_to_last():
    (finding,) = VanishingGradients().detect(gradients(falling(8)))
    assert finding.evidence["fall"] == pytest.approx(8)
    assert finding.evidence["ratio"] == pytest.approx(1e-8)
    assert finding.layers[0] == "layers.0"
    assert "layers.9" not in finding.layers
    assert "1e-08" in finding.explanation


def test_a_network_that_learns_is_left_alone():
    assert not list(VanishingGradients().detect(gradients(falling(8), losses=LEARNING)))


def test_a_collapse_of_all_layers_has_no_ratio_and_is_seen():
    assert list(VanishingGradients().detect(gradients([1e-7] * 5)))
    assert not list(VanishingGradients().detect(gradients([1e-3] * 5)))


def test_exact_zeros_are_a_collapse_and_no_error():
    assert list(VanishingGradients().detect(gradients([0.0, 0.0, 0.0, 0.0, 1.0])))


def test_gradients_that_grow_toward_the_input_do_not_vanish():
    assert not list(VanishingGradients().detect(gradients(falling(8)[::-1])))


def test_frozen_layers_are_left_out():
    trace = gradients([1e-9, 1e-9, 1e-9, 1.0, 1.0, 1.0, 1.0])
    layers = tuple(
        LayerFact(f.name, f.kind, f.role, f.order, trainable=f.order > 2)
        for f in trace.facts.layers
    )
    assert list(VanishingGradients().detect(trace))
    thawed = Trace(trace.rows, Facts(layers=layers, chance_loss=1.0))
    assert not list(VanishingGradients().detect(thawed))


def test_the_scale_of_the_loss_does_not_matter():
    small = gradients([1.0] * 6)
    rows = [
        Row(
            r.step,
            r.quantity,
            r.value * (1e-9 if r.quantity != Quantity.WEIGHT_NORM else 1),
            r.module,
        )
        for r in small
    ]
    assert not list(
        VanishingGradients().detect(Trace(rows, Facts(small.facts.layers, chance_loss=1e-9)))
    )


def test_one_odd_layer_is_no_fall_over_depth():
    flat = [1e-4, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert not list(VanishingGradients().detect(gradients(flat)))


def test_the_layers_named_are_the_half_that_the_gradient_has_died_in():
    (finding,) = VanishingGradients().detect(gradients(falling(8)))
    assert finding.layers == tuple(f"layers.{i}" for i in range(5))


def moved(trace: Trace, relative: float) -> Trace:
    """Weights of norm 1 that every step changes by so much."""
    rows = [
        Row(r.step, Quantity.UPDATE_NORM, relative, r.module)
        for r in trace
        if r.quantity == Quantity.WEIGHT_NORM
    ]
    return Trace([*trace.rows, *rows], trace.facts)


@pytest.mark.parametrize(("relative", "found"), [(0.0006, 0), (0.0008, 1)])
def test_a_run_whose_steps_could_move_nothing_says_nothing_of_a_fall(relative, found):
    trace = moved(gradients(falling(8)), relative)
    assert len(list(VanishingGradients().detect(trace))) == found


def test_a_collapse_is_named_however_small_the_steps():
    assert list(VanishingGradients().detect(moved(gradients([1e-7] * 5), 1e-9)))


def test_embeddings_and_branches_that_start_at_zero_are_no_part_of_a_fall():
    trace = gradients([1e-9, 1.0, 1.0, 1.0, 1.0])
    looked_up = (replace(trace.facts.layers[0], kind="Embedding"), *trace.facts.layers[1:])
    assert not list(
        VanishingGradients().detect(Trace(trace.rows, Facts(looked_up, chance_loss=1.0)))
    )
    closed = gradients([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    branches = tuple(replace(f, bypassed=f.order < 4) for f in closed.facts.layers)
    assert list(VanishingGradients().detect(closed))
    assert not list(
        VanishingGradients().detect(Trace(closed.rows, Facts(branches, chance_loss=1.0)))
    )


def test_a_fall_that_ended_when_the_loss_began_to_move_is_a_mild_episode():
    early, late = gradients(falling(8)), gradients(falling(1), losses=[0.8] * 60)
    rows = [r for r in early if r.step < 21] + [r for r in late if r.step >= 21]
    (finding,) = VanishingGradients().detect(Trace(rows, early.facts))
    assert finding.severity == "mild"
    assert finding.until == 40


def test_a_fall_that_training_brought_about_is_mild():
    early, late = gradients(falling(1)), gradients(falling(8), losses=[1.0] * 60)
    rows = [r for r in early if r.step < 21] + [r for r in late if r.step >= 21]
    (finding,) = VanishingGradients().detect(Trace(rows, early.facts))
    assert (finding.severity, finding.since) == ("mild", 40)


def test_a_collapse_that_training_brought_about_is_named_by_what_did_it():
    early, late = gradients([1.0] * 5), gradients([1e-9] * 5, losses=[1.0] * 60)
    rows = [r for r in early if r.step < 21] + [r for r in late if r.step >= 21]
    assert not list(VanishingGradients().detect(Trace(rows, early.facts)))


def recurrent(decades_a_step: float, *, steps: int = 9, loss: float = 1.0, moves: float = 0.1):
    """A recurrent layer whose gradient changes by so much at every step back in time."""
    facts = Facts((LayerFact("rnn", "RNN", "recurrent", 0),), chance_loss=1.0)
    rows = []
    for step in range(30):
        rows += [
            Row(step, Quantity.LOSS, loss),
            Row(step, Quantity.GRADIENT_NORM, 1.0),
            Row(step, Quantity.GRADIENT_NORM, 1.0, "rnn"),
            Row(step, Quantity.WEIGHT_NORM, 1.0, "rnn"),
            Row(step, Quantity.UPDATE_NORM, moves, "rnn"),
        ]
        rows += [
            Row(step, Quantity.TIME_GRADIENT, 10 ** (decades_a_step * (steps - 1 - t)), "rnn",
                call=t)
            for t in range(steps)
        ]  # fmt: skip
    return Trace(rows, facts)


@pytest.mark.parametrize(
    ("rate", "more", "found"),
    [
        (-0.44, {}, 0),
        (-0.46, {}, 1),
        (-0.46, {"loss": 0.4}, 0),
        (-0.46, {"moves": 1e-5}, 0),
        (-0.46, {"steps": 7}, 0),
        (-0.6, {"steps": 4}, 0),
    ],
)
def test_a_gradient_vanishes_back_through_time_by_rate_and_by_reach(rate, more, found):
    findings = list(VanishingGradients().detect(recurrent(rate, **more)))
    assert [f.layers for f in findings] == [("rnn",)] * found


@pytest.mark.parametrize(
    ("rate", "more", "found"), [(0.12, {}, 0), (0.13, {}, 1), (0.13, {"loss": 0.2}, 0)]
)
def test_a_gradient_explodes_back_through_time(rate, more, found):
    findings = list(ExplodingGradients().detect(recurrent(rate, **more)))
    assert [f.layers for f in findings] == [("rnn",)] * found
    assert all(f.evidence["time_growth"] == pytest.approx(8 * rate) for f in findings)


def test_time_steps_without_a_gradient_are_left_out():
    trace = recurrent(-0.46, steps=20)
    rows = [
        replace(r, value=0.0) if r.call > 3 and r.quantity == Quantity.TIME_GRADIENT else r
        for r in trace
    ]
    assert list(VanishingGradients().detect(trace))
    assert not list(VanishingGradients().detect(Trace(rows, trace.facts)))


def test_of_blank_inputs_nothing_is_said_about_layers():
    trace = gradients([0.0, 0.0, 0.0, 0.0, 1.0])
    blank = [Row(step, Quantity.INPUT_NORM, 0.0) for step in range(30)]
    assert not list(VanishingGradients().detect(Trace([*trace.rows, *blank], trace.facts)))
    once = [Row(0, Quantity.INPUT_NORM, 0.1), *blank]
    assert list(VanishingGradients().detect(Trace([*trace.rows, *once], trace.facts)))


@pytest.mark.parametrize(
    ("loss", "said"), [(1.5, "150% of a constant guess"), (1e30, "1e+30 times that of a constant")]
)
def test_a_loss_that_ran_away_is_told_as_a_multiple(loss, said):
    (finding,) = ExplodingGradients().detect(gradients([1e5, 1.0], losses=[loss] * 30))
    assert said in finding.explanation


def test_an_embedding_does_not_explode():
    trace = gradients([1e5, 1.0])
    layers = (replace(trace.facts.layers[0], kind="Embedding"), trace.facts.layers[1])
    assert list(ExplodingGradients().detect(trace))
    assert not list(ExplodingGradients().detect(Trace(trace.rows, Facts(layers, chance_loss=1.0))))


class TestExplodingGradients(DetectorContract):
    def detector(self):
        return ExplodingGradients()

    def sick(self):
        return gradients([1e5, 1.0])

    def healthy(self):
        return gradients([3.0, 1.0])


@pytest.mark.parametrize(("value", "found"), [(49.0, 0), (51.0, 1)])
def test_a_single_layer_is_judged_on_an_absolute_scale(value, found):
    assert len(list(ExplodingGradients().detect(gradients([value])))) == found


def test_a_network_whose_loss_falls_is_not_exploding():
    assert not list(ExplodingGradients().detect(gradients([1e5, 1.0], losses=LEARNING)))


def test_layers_that_tune_their_own_step_are_left_out():
    assert not list(ExplodingGradients().detect(gradients([1e5, 1.0], normalized=True)))


def test_a_large_first_step_alone_is_seen_before_training():
    (finding,) = ExplodingGradients().detect(gradients([1e5, 1.0], losses=[1.0]))
    assert finding.since is None
    assert finding.layers == ("layers.0",)
    assert finding.evidence["sensitivity"] == pytest.approx(1e5)


def grown(factor: float, last_loss: float) -> Trace:
    rows = []
    for step in range(40):
        late = step >= 30
        rows += [
            Row(step, Quantity.GRADIENT_NORM, factor if late else 1.0),
            Row(step, Quantity.LOSS, last_loss if late else 1.0),
        ]
    return Trace(rows, Facts(chance_loss=1.0))


@pytest.mark.parametrize(
    ("factor", "loss", "found"), [(900.0, 5.0, 0), (1100.0, 5.0, 1), (1100.0, 1.5, 0)]
)
def test_growth_counts_where_the_loss_runs_away_too(factor, loss, found):
    findings = list(ExplodingGradients().detect(grown(factor, loss)))
    assert len(findings) == found
    assert all(f.since == 30 for f in findings)


def test_a_gradient_that_ends_in_nan_does_not_hide_its_start():
    trace = gradients([1e5, 1.0])
    rows = [Row(r.step, r.quantity, math.nan if r.step > 5 else r.value, r.module) for r in trace]
    assert list(ExplodingGradients().detect(Trace(rows, trace.facts)))


def test_a_spike_that_passed_is_mild_and_has_an_end():
    trace = gradients([1.0, 1.0], losses=LEARNING)
    rows = [
        replace(r, value=5e3) if r.quantity == Quantity.GRADIENT_NORM and r.step == 9 else r
        for r in trace
    ]
    (finding,) = ExplodingGradients().detect(Trace(rows, trace.facts))
    assert (finding.severity, finding.since, finding.until) == ("mild", 9, 10)


def test_a_gradient_that_falls_to_nothing_has_not_jumped():
    trace = gradients([1.0, 1.0], losses=LEARNING)
    rows = [
        replace(r, value=10.0**-r.step) if r.quantity == Quantity.GRADIENT_NORM else r
        for r in trace
    ]
    assert not list(ExplodingGradients().detect(Trace(rows, trace.facts)))


def test_only_the_layers_that_explode_are_named():
    (finding,) = ExplodingGradients().detect(gradients([1e5, 3e4, 5e3, 1.0]))
    assert finding.layers == ("layers.0", "layers.1")


def test_limits_out_of_range_are_refused():
    with pytest.raises(ThresholdError, match="min_layers"):
        VanishingGradients(min_layers=2)
    with pytest.raises(ThresholdError, match="max_growth"):
        ExplodingGradients(max_growth=0.5)
