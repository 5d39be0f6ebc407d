"""What does not fit a regression loss: each rule is a function of what the loss was given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from fitwell.detectors.given import Given, Mismatch
from fitwell.records import Severity
from fitwell.words import Said, say

_RANGE: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "sigmoid": (0.0, 1.0),
        "hardsigmoid": (0.0, 1.0),
        "softmax": (0.0, 1.0),
        "tanh": (-1.0, 1.0),
        "hardtanh": (-1.0, 1.0),
        "softsign": (-1.0, 1.0),
        "relu": (0.0, math.inf),
        "relu6": (0.0, 6.0),
        "softplus": (0.0, math.inf),
        "elu": (-1.0, math.inf),
        "celu": (-1.0, math.inf),
        "selu": (-1.76, math.inf),
        "gelu": (-0.17, math.inf),
        "silu": (-0.28, math.inf),
        "mish": (-0.31, math.inf),
        "hardswish": (-0.375, math.inf),
        "log_softmax": (-math.inf, 0.0),
        "logsigmoid": (-math.inf, 0.0),
    }
)
"""What an activation can put out."""

_REACH = 0.25
"""Least distance of the farthest target from what the output can be, in standard deviations of the
targets: below it the error that cannot be mended is at most 6 % of the variance, and of the rows at
the edge alone."""

_FAR = 1.0
"""Distance from which it is severe even in a run that learned something: one whole deviation."""

_CLASSES = 20
"""Whole numbers from 0 up to here, and no more, may be class numbers."""


def is_regression(given: Given) -> bool:
    """Whether the loss compares numbers."""
    return given.kind in ("squared", "absolute")


def broadcast(given: Given) -> Mismatch | None:
    """Outputs and targets of shapes that stretch one another: (N, 1) and (N,) make (N, N)."""
    if given.kind not in ("squared", "absolute", "binary"):
        return None
    output, target = given.output_shape, given.target_shape
    joint = _joint(output, target)
    if joint is None or math.prod(joint) <= max(math.prod(output), math.prod(target)):
        return _stretched(given, joint)
    if _keras_squeezes(given):
        return None
    return Mismatch(
        "severe",
        say(
            "Outputs of shape {output} and targets of shape {target} are stretched to {joint}: "
            "every row is compared with the targets of all others, and the best answer is their "
            "mean.",
            output=_shown(output),
            target=_shown(target),
            joint=_shown(joint),
        ),
        say("Give both the same shape: targets.unsqueeze(1), or outputs.squeeze(1)."),
        say(
            "outputs {output} against targets {target}",
            output=_shown(output),
            target=_shown(target),
        ),
        {"compared": float(math.prod(joint)), "outputs": float(math.prod(output))},
        0.98,
    )


def _stretched(given: Given, joint: tuple[int, ...] | None) -> Mismatch | None:
    """One output against several targets of its row: no output can be right for all of them."""
    output = given.output_shape
    if joint is None or len(output) != len(given.target_shape) or len(output) < 2:
        return None
    if output[-1] != 1 or given.target_shape[-1] < 2:
        return None
    return Mismatch(
        "severe",
        say(
            "The network puts out one number a row, and is compared with {targets} targets of "
            "that row.",
            targets=given.target_shape[-1],
        ),
        say(
            "Give the output layer {targets} units, one for each target.",
            targets=given.target_shape[-1],
        ),
        say("one output against {targets} targets", targets=given.target_shape[-1]),
        {"targets": float(given.target_shape[-1]), "outputs": 1.0},
    )


def _joint(output: tuple[int, ...], target: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return what two shapes broadcast to; None if they are alike, unknown or do not fit."""
    if not output or not target or output == target:
        return None
    longest = max(len(output), len(target))
    one, other = ((1,) * (longest - len(s)) + s for s in (output, target))
    if any(a != b and 1 not in (a, b) for a, b in zip(one, other, strict=True)):
        return None
    return tuple(max(a, b) for a, b in zip(one, other, strict=True))


def _keras_squeezes(given: Given) -> bool:
    """Keras' losses bring (N, 1) and (N,) to the same shape themselves; torch's do not."""
    theirs = given.name.startswith("mean_") or "crossentropy" in given.name
    return theirs and abs(len(given.output_shape) - len(given.target_shape)) == 1


def class_numbers(given: Given) -> Mismatch | None:
    """A distance between class numbers: class 2 is not twice class 1."""
    if not is_regression(given) or not _may_be_classes(given):
        return None
    several = given.units > 1 and given.target_kind == "integers"
    said = "accuracy" in given.metric.lower() or several or given.activation == "softmax"
    severity: Severity = "mild" if given.learned and not said else "moderate"
    if not said and math.isnan(given.left):
        return None
    return Mismatch(
        severity,
        say(
            "The targets are the whole numbers from 0 to {highest}. If they are class numbers, a "
            "regression loss takes them for amounts.",
            highest=f"{given.target_high:.0f}",
        ),
        say(
            "If these are classes, give the output layer {units} units without an activation, and "
            "take CrossEntropyLoss.",
            units=f"{given.target_high + 1:.0f}",
        ),
        say("a regression loss for class numbers"),
        given.measured("target_low", "target_high") | {"units": float(given.units)},
        0.8 if said else 0.5,
    )


def _may_be_classes(given: Given) -> bool:
    return given.whole and given.target_low == 0 and 2 <= given.target_high <= _CLASSES


def out_of_reach(given: Given) -> Mismatch | None:
    """Targets that the activation of the output cannot become."""
    if not is_regression(given) or given.activation not in _RANGE:
        return None
    low, high = _RANGE[given.activation]
    if given.low < low - 0.01 * abs(low) - 1e-3 or given.high > high + 0.01 * abs(high) + 1e-3:
        return None
    beyond = max(low - given.target_low, given.target_high - high)
    if not beyond > _REACH * given.target_spread or not given.target_spread > 0:
        return None
    far = beyond / given.target_spread
    return Mismatch(
        _reach_severity(given, far),
        say(
            "The network ends with {activation}, which puts out {range}, and the targets lie "
            "between {low} and {high}.",
            activation=given.activation,
            range=_interval(low, high),
            low=f"{given.target_low:.3g}",
            high=f"{given.target_high:.3g}",
        ),
        say(
            "Remove the {activation} at the end of the network, or scale the targets into its "
            "range.",
            activation=given.activation,
        )
        if high - low < math.inf
        else say(
            "Remove the {activation} at the end of the network: a regression takes a linear "
            "output.",
            activation=given.activation,
        ),
        say("an output of {activation} that cannot reach the targets", activation=given.activation),
        {"beyond": far, **given.measured("target_low", "target_high", "low", "high")},
    )


def _reach_severity(given: Given, far: float) -> Severity:
    if given.left < 0.1:
        return "mild"
    return "severe" if far >= _FAR else "moderate"


def _interval(low: float, high: float) -> Said:
    if low == -math.inf:
        return say("at most {high}", high=f"{high:g}")
    if high == math.inf:
        return say("at least {low}", low=f"{low:g}")
    return say("values from {low} to {high}", low=f"{low:g}", high=f"{high:g}")


def brier(given: Given) -> Mismatch | None:
    """A squared error of probabilities: sound, but slow where the network is surely wrong."""
    shown = given.activation == "softmax" and given.units > 1
    if not is_regression(given) or not shown or given.output_shape != given.target_shape:
        return None
    if given.target_low != 0 or given.target_high != 1 or not given.left >= 0.5:
        return None
    return Mismatch(
        "mild",
        say(
            "The loss is the squared error of a softmax: where the network is surely wrong, its "
            "gradient is near 0."
        ),
        say("Take a cross entropy of the logits: CrossEntropyLoss, or categorical_crossentropy."),
        say("a squared error of a softmax"),
        {"left": given.left},
        0.5,
    )


def _shown(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
