"""Every rule of the loss: named where it is broken, silent next to it."""

import pytest

from fitwell.detectors import LossOutputMismatch
from fitwell.records import Facts, LayerFact, Quantity, Row, Trace
from fitwell.testing import DetectorContract

LOGITS = {"low": -3.0, "high": 4.0, "row_error": 6.0}
PROBABILITIES = {"low": 0.01, "high": 0.97, "row_error": 1e-7}
SIGMOIDS = {"low": 0.02, "high": 0.98, "row_error": 0.8}
LOGS = {"low": -5.0, "high": -0.1, "row_error": 9.0}
_NAMES = {
    "low": Quantity.OUTPUT_MIN,
    "high": Quantity.OUTPUT_MAX,
    "row_error": Quantity.ROW_SUM_ERROR,
    "target_low": Quantity.TARGET_MIN,
    "target_high": Quantity.TARGET_MAX,
    "target_spread": Quantity.TARGET_SPREAD,
}


def seen(loss, expects, *, units=3, steps=20, losses=None, **given):
    """A trace of a loss that was given outputs (32, units) and class numbers below ``units``."""
    names = {f: given.pop(f) for f in tuple(given) if f in Facts.__dataclass_fields__}
    numbers = {"target_low": 0.0, "target_high": units - 1.0, "target_spread": 0.8} | given
    rows = [
        Row(step, _NAMES[name], value) for step in range(steps) for name, value in numbers.items()
    ]
    rows += [Row(step, Quantity.LOSS, v) for step, v in enumerate(losses or [1.0] * steps)]
    facts = {
        "layers": (LayerFact("head", "Linear", "output", 0, units=units),),
        "loss": loss,
        "loss_expects": expects,
        "output_shape": (32, units),
        "target_shape": (32,),
        "target_kind": "integers",
    }
    return Trace(rows, Facts(**(facts | names)))


def regression(*, units=1, activation="", low=-2.0, high=2.0, spread=1.0, **facts):
    facts = {"output_shape": (32, units), "target_shape": (32, units)} | facts
    return seen(
        facts.pop("loss", "mse"),
        "values",
        units=units,
        output_activation=activation,
        target_kind=facts.pop("target_kind", "floats"),
        target_low=low,
        target_high=high,
        target_spread=spread,
        **facts,
    )


def binary(expects="logits", *, units=1, **given):
    floats = {"target_kind": "floats", "target_shape": (32, units), "target_high": 1.0}
    return seen("binary_cross_entropy", expects, units=units, **(floats | given))


def found(trace):
    return [(f.severity, f.phrase) for f in LossOutputMismatch().detect(trace)]


def phrase(trace):
    ((_, text),) = found(trace)
    return text


class TestLossOutputMismatch(DetectorContract):
    def detector(self):
        return LossOutputMismatch()

    def sick(self):
        return seen("cross_entropy", "logits", output_activation="softmax", **PROBABILITIES)

    def healthy(self):
        return seen("cross_entropy", "logits", **LOGITS)


def test_softmax_before_cross_entropy_is_severe_and_says_what_to_change():
    trace = seen("cross_entropy", "logits", output_activation="softmax", **PROBABILITIES)
    (finding,) = LossOutputMismatch().detect(trace)
    assert finding.severity == "severe"
    assert finding.layers == ("head",)
    assert finding.since is None
    assert finding.advice.startswith("Remove the softmax")
    assert finding.evidence == pytest.approx(PROBABILITIES)


def test_a_softmax_that_was_not_recorded_shows_in_the_sums_of_the_rows():
    assert found(seen("cross_entropy", "logits", **PROBABILITIES))
    assert not found(seen("cross_entropy", "logits", low=0.01, high=0.97, row_error=0.4))


def test_log_softmax_before_cross_entropy_changes_nothing():
    trace = seen("cross_entropy", "logits", output_activation="log_softmax", **LOGS)
    assert not found(trace)


def test_a_softmax_whose_logarithm_the_loop_takes_is_sound():
    assert not found(seen("cross_entropy", "logits", output_activation="softmax", **LOGS))


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "hardsigmoid"])
def test_a_bounded_output_before_cross_entropy_is_named(activation):
    trace = seen("cross_entropy", "logits", output_activation=activation, **SIGMOIDS)
    assert phrase(trace) == f"{activation} before a loss that applies a softmax"


def test_a_bounded_activation_elsewhere_than_before_the_loss_is_none():
    assert not found(seen("cross_entropy", "logits", output_activation="sigmoid", **LOGITS))


def test_what_another_network_says_of_the_output_is_not_the_output():
    judged = {"output_activation": "tanh", "low": -0.2, "high": 0.3, "steps": 3}
    assert found(binary(**judged))
    generator = LayerFact("last", "Linear", "output", 0, units=64)
    assert not found(binary(layers=(generator,), **judged))


def test_soft_targets_are_sound():
    soft = {"target_kind": "floats", "target_shape": (32, 3), "target_high": 0.9}
    assert not found(seen("cross_entropy", "logits", **soft, **LOGITS))


def test_one_unit_with_cross_entropy_is_named():
    assert phrase(seen("cross_entropy", "logits", units=1)) == "a softmax over one unit"
    assert phrase(seen("categorical_crossentropy", "probabilities", units=1))


def test_one_channel_of_a_map_with_cross_entropy_is_named_too():
    trace = seen("cross_entropy", "logits", units=1, output_shape=(8, 1, 16, 16))
    assert phrase(trace) == "a softmax over one unit"


def test_keras_has_the_classes_on_the_last_axis():
    shape = {"output_shape": (8, 1, 5), "target_shape": (8, 1)}
    assert not found(
        seen("sparse_categorical_crossentropy", "probabilities", **shape, **PROBABILITIES)
    )


def test_softmax_over_one_unit_is_named_whatever_the_loss():
    ones = {"low": 1.0, "high": 1.0, "row_error": 0.0}
    assert phrase(binary("probabilities", output_activation="softmax", **ones))
    flat = {"output_shape": (32,), "target_shape": (32,)}
    assert phrase(binary("probabilities", output_activation="softmax", **ones, **flat))
    assert "one unit" in phrase(regression(activation="softmax", low=0.0, high=1.0))


def test_the_batch_taken_for_the_classes_is_named():
    flat = {"output_shape": (32,), "target_shape": (32,), "target_kind": "floats"}
    assert "batch" in phrase(seen("cross_entropy", "logits", units=1, **flat))
    one_row = {"output_shape": (5,), "target_shape": (), "target_kind": "integers"}
    assert not found(seen("cross_entropy", "logits", units=1, **one_row))


def test_class_numbers_without_a_unit_are_named_and_numbers_from_1_told():
    trace = seen("cross_entropy", "logits", target_low=1.0, target_high=3.0)
    (finding,) = LossOutputMismatch().detect(trace)
    assert "subtract 1" in finding.advice
    trace = seen("cross_entropy", "logits", target_high=6.0)
    (finding,) = LossOutputMismatch().detect(trace)
    assert "7 units" in finding.advice
    assert not found(seen("cross_entropy", "logits", target_low=-100.0, target_high=2.0, **LOGITS))


def test_a_softmax_over_the_batch_is_told_from_one_over_the_classes():
    trace = seen(
        "cross_entropy", "logits", output_activation="softmax", low=0.0, high=0.2, row_error=0.9
    )
    assert phrase(trace) == "a softmax over the batch"


@pytest.mark.parametrize("activation", ["relu", "softplus"])
def test_a_relu_on_a_classifier_is_severe_unless_it_learned(activation):
    given = {"output_activation": activation, "low": 0.0, "high": 7.0, "row_error": 6.0}
    assert found(seen("cross_entropy", "logits", **given))[0][0] == "severe"
    learned = seen("cross_entropy", "logits", losses=[1.1, *[0.1] * 19], chance_loss=1.1, **given)
    assert found(learned)[0][0] == "mild"
    assert found(binary(output_activation=activation, low=0.0, high=7.0))


def test_a_relu_before_the_output_layer_is_none():
    assert not found(seen("cross_entropy", "logits", output_activation="relu", **LOGITS))


@pytest.mark.parametrize("activation", ["sigmoid", "softmax", "tanh"])
def test_a_bounded_output_before_a_loss_that_applies_a_sigmoid_is_named(activation):
    assert "applies a sigmoid" in phrase(
        binary(output_activation=activation, units=2, low=0.1, high=0.9)
    )


def test_sigmoid_with_a_loss_of_probabilities_is_sound():
    assert not found(binary("probabilities", output_activation="sigmoid", low=0.1, high=0.9))
    assert not found(binary(low=-3.0, high=4.0))


def test_one_hot_targets_with_sigmoids_and_binary_cross_entropy_are_sound():
    assert not found(binary("probabilities", units=5, output_activation="sigmoid", **SIGMOIDS))


def test_logits_where_probabilities_are_taken_are_named():
    assert "logits" in phrase(binary("probabilities", low=-3.0, high=4.0))
    keras = seen("categorical_crossentropy", "probabilities", **LOGITS)
    (finding,) = LossOutputMismatch().detect(keras)
    assert "softmax" in finding.advice
    assert "no activation" in finding.explanation


def test_softmax_in_keras_is_sound_and_sigmoids_for_exclusive_classes_are_not():
    name = "categorical_crossentropy"
    assert not found(seen(name, "probabilities", output_activation="softmax", **PROBABILITIES))
    assert "exclusive" in phrase(
        seen(name, "probabilities", output_activation="sigmoid", **SIGMOIDS)
    )


def test_sparse_losses_cut_targets_that_are_no_class_numbers():
    name = "sparse_categorical_crossentropy"
    cut = {"target_kind": "floats", "target_low": 0.25, "target_high": 1.75}
    assert "no class numbers" in phrase(seen(name, "probabilities", **cut, **PROBABILITIES))
    whole = {"target_kind": "floats"}
    assert not found(seen(name, "probabilities", **whole, **PROBABILITIES))


@pytest.mark.parametrize("loss", ["cross_entropy", "kl_div"])
def test_a_loss_of_log_probabilities_takes_nothing_else(loss):
    assert "probabilities" in phrase(
        seen(loss, "log_probabilities", output_activation="softmax", **PROBABILITIES)
    )
    assert "logits" in phrase(seen(loss, "log_probabilities", **LOGITS))
    assert not found(seen(loss, "log_probabilities", output_activation="log_softmax", **LOGS))
    sure = {"low": -30.0, "high": 1e-7, "row_error": 31.0}
    assert not found(seen(loss, "log_probabilities", **sure))


@pytest.mark.parametrize(
    ("low", "high", "advice"),
    [(-1.0, 1.0, "targets + 1"), (0.0, 4.0, "CrossEntropyLoss"), (-2.2, 3.1, "Scale the targets")],
)
def test_targets_outside_of_a_binary_cross_entropy_are_named(low, high, advice):
    (finding,) = LossOutputMismatch().detect(binary(target_low=low, target_high=high))
    assert advice in finding.advice
    assert finding.severity == "severe"


@pytest.mark.parametrize(
    ("activation", "low", "high"),
    [("relu", -2.0, 2.0), ("sigmoid", -1.0, 3.0), ("tanh", -2.5, 2.5), ("softplus", -2.0, 1.0)],
)
def test_targets_that_the_output_cannot_become_are_severe(activation, low, high):
    trace = regression(activation=activation, low=low, high=high)
    assert found(trace) == [("severe", f"an output of {activation} that cannot reach the targets")]


@pytest.mark.parametrize(
    ("activation", "low", "high", "spread"),
    [
        ("sigmoid", 0.0, 1.0, 0.3),
        ("sigmoid", 0.0, 1.05, 0.3),
        ("tanh", -1.0, 1.0, 0.5),
        ("relu", 0.0, 50.0, 9.0),
        ("relu", -0.5, 50.0, 9.0),
        ("", -3.0, 3.0, 1.0),
        ("leaky_relu", -3.0, 3.0, 1.0),
    ],
)
def test_targets_within_reach_are_none(activation, low, high, spread):
    assert not found(regression(activation=activation, low=low, high=high, spread=spread))


def test_what_is_a_little_out_of_reach_is_moderate_and_mild_in_a_run_that_learned():
    trace = regression(activation="tanh", low=-1.5, high=1.5, spread=1.0)
    assert found(trace)[0][0] == "moderate"
    trace = regression(activation="tanh", low=-1.5, high=1.5, losses=[1.0, *[0.05] * 19])
    assert found(trace)[0][0] == "mild"


def test_shapes_that_stretch_one_another_are_named():
    trace = regression(output_shape=(32, 1), target_shape=(32,))
    (finding,) = LossOutputMismatch().detect(trace)
    assert finding.severity == "severe"
    assert "(32, 32)" in finding.explanation
    assert finding.evidence == {"compared": 1024.0, "outputs": 32.0}


@pytest.mark.parametrize(
    ("output", "target"),
    [
        ((32, 1), (32, 1)),
        ((32,), (32,)),
        ((1, 1), (1,)),
        ((32, 1), ()),
        ((32, 1), (1,)),
        ((32,), ()),
    ],
)
def test_shapes_that_fit_are_none(output, target):
    assert not found(regression(output_shape=output, target_shape=target))


def test_keras_squeezes_by_itself():
    shapes = {"output_shape": (32, 1), "target_shape": (32,)}
    assert not found(regression(loss="mean_squared_error", **shapes))


def test_one_output_for_several_targets_is_named():
    assert "3 targets" in phrase(regression(output_shape=(32, 1), target_shape=(32, 3)))


def test_class_numbers_as_amounts_are_moderate_and_need_a_run_or_an_accuracy():
    given = {"low": 0.0, "high": 4.0, "spread": 1.4}
    assert found(regression(**given))[0][0] == "moderate"
    assert found(regression(metric="accuracy", steps=1, **given))[0][0] == "moderate"
    assert not found(regression(steps=1, **given))
    learned = regression(losses=[3.0, *[0.1] * 19], **given)
    assert found(learned)[0][0] == "mild"


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (1.0, 4.0), (0.0, 4.5), (0.0, 90.0)])
def test_amounts_are_no_class_numbers(low, high):
    assert not found(regression(low=low, high=high))


def test_a_squared_error_of_a_softmax_is_mild_and_only_where_nothing_was_learned():
    given = {"units": 3, "activation": "softmax", "low": 0.0, "high": 1.0, "spread": 0.47}
    poor = regression(**given, losses=[0.22] * 20, chance_loss=0.22)
    assert found(poor) == [("mild", "a squared error of a softmax")]
    assert not found(regression(**given, losses=[0.22, *[0.02] * 19], chance_loss=0.22))


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("Target 3 is out of bounds.", "from 0"),
        ("Class values must be smaller than num_classes.", "from 0"),
        ("all elements of input should be between 0 and 1", "sigmoid"),
        ("all elements of target should be between 0 and 1", "0 and 1"),
        ("0D or 1D target tensor expected, multi-target not supported", "squeeze"),
        ("expected target dtype to be Long or Byte, but got Float", "long()"),
        ("Expected floating point type for target with class probabilities, got Long", "argmax"),
        ("Expected target size [4, 3], got [4, 5]", "transpose"),
        ("Expected input batch_size (4) to match target batch_size (5).", "view"),
        ("Target size (torch.Size([4])) must be the same as input size", "unsqueeze"),
        ("Found dtype Long but expected Float", "float()"),
        (
            "Arguments `target` and `output` must have the same shape up until the last dimension",
            "categorical_crossentropy",
        ),
        (
            "Arguments `target` and `output` must have the same shape. Received: ...",
            "sparse_categorical_crossentropy",
        ),
    ],
)
def test_what_a_loss_raised_becomes_a_finding(message, advice):
    (finding,) = LossOutputMismatch().detect(Trace([], Facts(error=message)))
    assert finding.severity == "severe"
    assert advice in finding.advice
    assert finding.explanation.endswith(".")
    assert not finding.explanation.endswith("..")


def test_other_exceptions_are_none_of_its_business():
    assert not found(Trace([], Facts(error="CUDA out of memory.")))


def test_a_loss_that_it_does_not_know_is_left_alone():
    assert not found(seen("my_own", "", output_activation="softmax", **PROBABILITIES))


def test_what_was_not_measured_compares_with_nothing():
    trace = Trace([], Facts(loss="mse", output_activation="relu", output_shape=(32, 1)))
    assert not found(trace)
    assert LossOutputMismatch().unjudged(Trace()) is not None
