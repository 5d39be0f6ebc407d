import math

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


def test_limits_out_of_range_are_refused():
    with pytest.raises(ThresholdError, match="min_layers"):
        VanishingGradients(min_layers=2)
    with pytest.raises(ThresholdError, match="max_growth"):
        ExplodingGradients(max_growth=0.5)
