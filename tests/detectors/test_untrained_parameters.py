"""Parameters that nothing trains, and those that nothing needs to train."""

from dataclasses import replace

import pytest

from fitwell.detectors import UntrainedParameters
from fitwell.records import Facts, Quantity, Row, Trace
from fitwell.testing import DetectorContract
from fitwell.testing.made_traces import layer_facts


def run(*, gradientless=(), still=(), steps=6, losses=None, layers=None, **facts):
    """Four layers with gradients and updates; those named get none."""
    layers = layers or layer_facts(4)
    rows = []
    for step in range(steps):
        rows.append(Row(step, Quantity.GRADIENT_NORM, 1.0))
        for name, count in gradientless:
            rows.append(Row(step, Quantity.GRADIENTLESS, count, name))
        cut = [name for name, _ in gradientless]
        for layer in layers:
            if layer.name not in cut:
                rows.append(Row(step, Quantity.GRADIENT_NORM, 0.5, layer.name))
            update = 0.0 if layer.name in still else 0.01
            rows.append(Row(step, Quantity.UPDATE_NORM, update, layer.name))
    rows += [Row(s, Quantity.LOSS, v) for s, v in enumerate(losses or [1.0] * 20)]
    return Trace(rows, Facts(layers=layers, chance_loss=1.0, **facts))


WELL = [1.0, *[0.1] * 19]


def left_out(*names):
    return tuple(replace(f, in_optimizer=f.name not in names) for f in layer_facts(4))


def found(trace):
    return [(f.severity, f.layers, tuple(f.evidence)) for f in UntrainedParameters().detect(trace)]


class TestUntrainedParameters(DetectorContract):
    def detector(self):
        return UntrainedParameters()

    def sick(self):
        return run(forgotten=("layers.2.weight", "layers.2.bias"), layers=left_out("layers.2"))

    def healthy(self):
        return run()


def test_what_no_optimizer_holds_is_named_with_the_number_of_parameters():
    trace = run(forgotten=("layers.3.weight", "layers.3.bias"), layers=left_out("layers.3"))
    (finding,) = UntrainedParameters().detect(trace)
    assert finding.severity == "severe"
    assert finding.layers == ("layers.3",)
    assert finding.evidence == {"forgotten": 2.0}
    assert "model.parameters()" in finding.advice
    well = run(forgotten=("layers.3.weight",), layers=left_out("layers.3"), losses=WELL)
    assert found(well)[0][0] == "moderate"


def test_a_head_that_is_trained_alone_and_well_is_mild():
    body = ("layers.0", "layers.1", "layers.2")
    names = tuple(f"{name}.weight" for name in body)
    assert found(run(forgotten=names, layers=left_out(*body), losses=WELL))[0][0] == "mild"
    assert found(run(forgotten=names, layers=left_out(*body)))[0][0] == "severe"


def test_what_was_frozen_on_purpose_is_none():
    frozen = tuple(replace(f, trainable=f.order == 3) for f in layer_facts(4))
    names = tuple(f"{f.name}.weight" for f in frozen[:3])
    assert not found(run(layers=frozen, frozen=names))


def test_everything_frozen_is_severe():
    layers = tuple(replace(f, trainable=False) for f in layer_facts(2))
    trace = Trace([], Facts(layers=layers, frozen=("layers.0.weight", "layers.1.weight")))
    assert found(trace) == [("severe", ("layers.0", "layers.1"), ("frozen",))]


def test_a_prompt_that_is_trained_before_frozen_layers_is_none():
    layers = tuple(replace(f, trainable=False) for f in layer_facts(2))
    assert not found(Trace([Row(0, Quantity.GRADIENT_NORM, 0.3)], Facts(layers=layers)))


def test_layers_that_run_and_never_get_a_gradient_are_severe():
    trace = run(gradientless=[("layers.0", 2), ("layers.1", 2)])
    assert found(trace) == [("severe", ("layers.0", "layers.1"), ("cut_off",))]
    (finding,) = UntrainedParameters().detect(trace)
    assert finding.evidence == {"cut_off": 4.0}
    assert "detach" in finding.advice


def test_an_expert_that_gets_a_gradient_now_and_then_is_none():
    trace = run()
    trace.add([Row(s, Quantity.GRADIENTLESS, 2.0, "layers.1") for s in (0, 2, 3)])
    assert not found(trace)


def test_what_never_runs_is_mild():
    assert found(run(gradientless=[("pooler", 2)])) == [("mild", ("pooler",), ("unused",))]
    assert found(run(forgotten=("pooler.weight",))) == [("mild", ("pooler",), ("unused",))]


def test_parts_of_a_layer_that_runs_count_as_running():
    assert found(run(forgotten=("layers.1.cell.weight",)))[0][0] == "severe"
    assert found(run(forgotten=("scale",)))[0][2] == ("forgotten",)


@pytest.mark.parametrize(("steps", "count"), [(4, 0), (5, 1)])
def test_weights_that_never_change_are_named_after_five_steps(steps, count):
    trace = run(still=("layers.1",), steps=steps)
    assert len(found(trace)) == count
    if count:
        assert found(trace) == [("severe", ("layers.1",), ("unmoved",))]


@pytest.mark.parametrize(("weights", "count"), [(1e3, 1), (1e6, 0)])
def test_a_step_that_float32_cannot_show_is_no_step_that_is_missing(weights, count):
    trace = run(still=("layers.1",), optimizer="SGD")
    trace.add([Row(s, Quantity.LEARNING_RATE, 0.1) for s in range(6)])
    trace.add([Row(s, Quantity.WEIGHT_NORM, weights, "layers.1") for s in range(6)])
    assert len(found(trace)) == count


def test_a_first_step_without_change_is_a_warm_up():
    trace = run(steps=5, still=("layers.1",))
    trace.add([Row(5, Quantity.UPDATE_NORM, 0.01, "layers.1")])
    assert not found(trace)
