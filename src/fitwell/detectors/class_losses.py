"""What does not fit a cross entropy: each rule is a function of what the loss was given."""

from __future__ import annotations

from fitwell.detectors.given import ROUNDING, WRONG_AXIS, Given, Mismatch
from fitwell.words import say

_SQUASHED = ("sigmoid", "hardsigmoid", "tanh", "hardtanh", "softsign")
_ONE_SIDED = ("relu", "relu6", "softplus")


def single_unit(given: Given) -> Mismatch | None:
    """A softmax over one unit is 1: a cross entropy of it is constant, whatever is learned."""
    constant = given.activation == "softmax" and not given.low < 1 - ROUNDING
    classes = given.kind == "classes" and given.expects != "values"
    flat = len(given.output_shape) < 2 and not (constant and given.low >= 1 - ROUNDING)
    if given.units != 1 or flat or not (classes or constant):
        return None
    return Mismatch(
        "severe",
        say(
            "The output layer has one unit, and a softmax over one unit is 1 whatever the network "
            "computes: the loss cannot change."
        ),
        say(
            "Give the output layer one unit for each class; for two classes one unit will do, with "
            "a binary cross entropy in place of the softmax."
        ),
        say("a softmax over one unit"),
        {"units": 1.0, **given.measured("low", "high")},
    )


def rows_as_classes(given: Given) -> Mismatch | None:
    """A cross entropy of (batch,) takes the whole batch for the classes of one row."""
    flat = len(given.output_shape) == 1 and given.output_shape == given.target_shape
    if given.kind != "classes" or not flat or given.target_kind == "integers":
        return None
    return Mismatch(
        "severe",
        say(
            "The loss was given {outputs} outputs on a single axis, and takes them for the classes "
            "of one row.",
            outputs=given.output_shape[0],
        ),
        say(
            "Give the output layer one unit for each class, and keep both axes (batch, classes); "
            "for two classes take BCEWithLogitsLoss."
        ),
        say("the batch is taken for the classes"),
        {"outputs": float(given.output_shape[0])},
    )


def too_few_units(given: Given) -> Mismatch | None:
    """A class number for which there is no unit."""
    if given.kind != "classes" or given.target_kind != "integers" or given.units < 2:
        return None
    if given.output_shape == given.target_shape or not given.target_high >= given.units:
        return None
    from_one = given.target_low == 1 and given.target_high == given.units
    return Mismatch(
        "severe",
        say(
            "There are class numbers up to {highest}, and {units} output units, which stand for "
            "the classes 0 to {last}.",
            highest=f"{given.target_high:.0f}",
            units=given.units,
            last=given.units - 1,
        ),
        say("Number the classes from 0: subtract 1 from the targets.")
        if from_one
        else say(
            "Give the output layer {units} units, one for each class.",
            units=f"{given.target_high + 1:.0f}",
        ),
        say("more classes than output units"),
        {"units": float(given.units), **given.measured("target_high")},
    )


def cut_class_numbers(given: Given) -> Mismatch | None:
    """Keras' sparse losses cut targets down to whole numbers without a word."""
    whole = given.whole or given.target_kind != "floats"
    if "sparse" not in given.name or whole or not given.target_low <= given.target_high:
        return None
    return Mismatch(
        "severe",
        say(
            "The targets are not whole numbers, and a sparse cross entropy cuts them down to class "
            "numbers."
        ),
        say(
            "For a number as target take mean_squared_error and a linear output of one unit; for "
            "classes number them from 0."
        ),
        say("targets that are no class numbers"),
        given.measured("target_low", "target_high"),
    )


def softmax_over_wrong_axis(given: Given) -> Mismatch | None:
    """A softmax whose rows do not sum to 1 ran over the rows of the batch."""
    shown = given.activation == "softmax" and len(given.output_shape) == 2 and given.units > 1
    if not shown or not (given.low >= 0 and given.kept_in and given.row_error > WRONG_AXIS):
        return None
    return Mismatch(
        "severe",
        say(
            "The network ends with a softmax, and yet its rows do not sum to 1: it runs over the "
            "batch instead of the classes."
        ),
        say(
            "Let the softmax run over the classes (dim=1 or dim=-1), or leave it out before a loss "
            "that takes logits."
        ),
        say("a softmax over the batch"),
        given.measured("row_error"),
    )


def double_softmax(given: Given) -> Mismatch | None:
    """A cross entropy that applies a softmax itself, given probabilities."""
    if given.kind != "classes" or given.expects != "logits" or given.units == 1:
        return None
    known = given.activation == "softmax" and given.kept_in and not given.low < 0
    if not (known or given.sums_to_one):
        return None
    return Mismatch(
        "severe",
        say(
            "The network ends with a softmax, and the loss applies one itself: twice squashed, the "
            "outputs can hardly differ, the loss cannot come near 0 and gradients are small."
        ),
        say(
            "Remove the softmax at the end of the network: CrossEntropyLoss takes logits "
            "(in Keras, set from_logits=False)."
        ),
        say("a softmax before a loss that applies one"),
        given.measured("row_error", "low", "high") or {"units": float(given.units)},
    )


def squashed_logits(given: Given) -> Mismatch | None:
    """A bounded activation before a loss that applies a sigmoid or softmax itself."""
    bounded = (*_SQUASHED, "softmax") if given.kind == "binary" else _SQUASHED
    if given.kind not in ("classes", "binary") or given.expects != "logits":
        return None
    if given.activation not in bounded or given.low < -1 - ROUNDING or given.high > 1 + ROUNDING:
        return None
    inside = "softmax" if given.kind == "classes" else "sigmoid"
    loss = "CrossEntropyLoss" if given.kind == "classes" else "BCEWithLogitsLoss"
    return Mismatch(
        "severe",
        say(
            "The network ends with {activation}, and the loss applies a {inside} itself: the "
            "outputs are squashed twice, so that no class can become sure and gradients are small.",
            activation=given.activation,
            inside=inside,
        ),
        say(
            "Remove the {activation} at the end of the network: {loss} takes logits.",
            activation=given.activation,
            loss=loss,
        ),
        say(
            "{activation} before a loss that applies a {inside}",
            activation=given.activation,
            inside=inside,
        ),
        given.measured("low", "high") or {"units": float(given.units)},
    )


def one_sided_logits(given: Given) -> Mismatch | None:
    """A ReLU before a loss of logits: no unit can say no, and one that is silent stays silent."""
    if given.kind not in ("classes", "binary") or given.expects not in ("logits", "probabilities"):
        return None
    if given.activation not in _ONE_SIDED or given.low < -ROUNDING:
        return None
    return Mismatch(
        "mild" if given.learned else "severe",
        say(
            "The network ends with {activation}: its units cannot fall below 0, and one that is 0 "
            "for every row gets no gradient.",
            activation=given.activation,
        ),
        say("Remove the {activation} at the end of the network.", activation=given.activation)
        if given.expects == "logits"
        else say(
            "Remove the {activation} at the end of the network, and put a softmax there, or a "
            "sigmoid for one unit.",
            activation=given.activation,
        ),
        say("{activation} on the output of a classifier", activation=given.activation),
        given.measured("low", "high") or {"units": float(given.units)},
        0.9,
    )


def logits_as_probabilities(given: Given) -> Mismatch | None:
    """A loss that takes probabilities, given values outside [0, 1]."""
    if given.kind not in ("classes", "binary") or given.expects != "probabilities":
        return None
    if given.kept_in:
        return None
    wanted = "softmax" if given.kind == "classes" else "sigmoid"
    now = given.activation or say("no activation")
    return Mismatch(
        "severe",
        say(
            "The loss takes probabilities, and was given values from {low} to {high}: the network "
            "ends with {activation}.",
            low=f"{given.low:.3g}",
            high=f"{given.high:.3g}",
            activation=now,
        ),
        say(
            "Put a {wanted} at the end of the network in its place, or take the loss of logits "
            "(BCEWithLogitsLoss, CrossEntropyLoss; in Keras from_logits=True).",
            wanted=wanted,
        ),
        say("a loss of probabilities was given logits"),
        given.measured("low", "high"),
    )


def not_exclusive(given: Given) -> Mismatch | None:
    """Sigmoids where the loss takes a distribution over exclusive classes."""
    if given.kind != "classes" or given.expects != "probabilities" or given.units < 2:
        return None
    if given.activation not in ("sigmoid", "hardsigmoid") or given.row_error < WRONG_AXIS:
        return None
    return Mismatch(
        "moderate" if given.learned else "severe",
        say(
            "The output units are sigmoids, each by itself, and the loss takes the probabilities "
            "of classes that exclude one another."
        ),
        say(
            "Put a softmax in place of the sigmoid; if several classes can hold at once, take "
            "binary_crossentropy."
        ),
        say("sigmoids with a cross entropy of exclusive classes"),
        given.measured("row_error", "low", "high") or {"units": float(given.units)},
    )


def no_log_probabilities(given: Given) -> Mismatch | None:
    """A loss of log probabilities, given anything that is not below 0."""
    if given.expects != "log_probabilities" or not given.high > 0.01:
        return None
    if given.low >= 0 and given.kept_in:
        return Mismatch(
            "severe",
            say(
                "The loss takes log probabilities, which are never above 0, and was given "
                "probabilities: its value falls below 0 and says nothing."
            ),
            say(
                "Put log_softmax at the end of the network in place of the softmax, or take "
                "CrossEntropyLoss and no activation."
            ),
            say("a loss of log probabilities was given probabilities"),
            given.measured("low", "high"),
        )
    return Mismatch(
        "severe",
        say(
            "The loss takes log probabilities, which are never above 0, and was given values up to "
            "{high}.",
            high=f"{given.high:.3g}",
        ),
        say(
            "Put log_softmax at the end of the network, or take CrossEntropyLoss and no activation."
        ),
        say("a loss of log probabilities was given logits"),
        given.measured("low", "high"),
    )


def targets_outside(given: Given) -> Mismatch | None:
    """A binary cross entropy with targets that are no probabilities."""
    inside = not (given.target_low < -ROUNDING or given.target_high > 1 + ROUNDING)
    if given.kind != "binary" or inside:
        return None
    signs = given.target_low == -1 and given.target_high == 1
    numbers = given.whole and given.target_low >= 0 and given.target_high < 1000
    advice = say("Scale the targets to [0, 1], or take a regression loss such as MSELoss.")
    if signs:
        advice = say("Turn the targets from -1 and 1 into 0 and 1: (targets + 1) / 2.")
    elif numbers and given.units <= 1:
        advice = say(
            "For several classes take CrossEntropyLoss with one output unit for each class."
        )
    return Mismatch(
        "severe",
        say(
            "A binary cross entropy takes targets from 0 to 1, and was given targets from {low} to "
            "{high}: it can fall without bound, and means nothing.",
            low=f"{given.target_low:.3g}",
            high=f"{given.target_high:.3g}",
        ),
        advice,
        say("binary cross entropy with targets outside [0, 1]"),
        given.measured("target_low", "target_high"),
    )
