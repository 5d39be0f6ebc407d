"""What torch and Keras say when a loss cannot take what it is given, and what is behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from fitwell.detectors.given import Given, Mismatch
from fitwell.words import say, together

_MESSAGES: Final[Sequence[tuple[str, str, str]]] = (
    (
        r"Target -?\d+ is out of bounds",
        say("There is a class number for which the network has no output unit."),
        say(
            "Number the classes from 0, and give the output layer one unit for each class; for two "
            "classes and one unit take a binary cross entropy."
        ),
    ),
    (
        r"Class values must be (smaller than num_classes|non-negative)",
        say("There is a class number for which the network has no output unit."),
        say("Number the classes from 0, and give the output layer one unit for each class."),
    ),
    (
        r"all elements of input should be between 0 and 1",
        say("A binary cross entropy of probabilities was given values outside [0, 1], or NaN."),
        say(
            "Put a sigmoid at the end of the network, or take BCEWithLogitsLoss and no activation."
        ),
    ),
    (
        r"all elements of target should be between 0 and 1",
        say("A binary cross entropy takes targets from 0 to 1, and was given others."),
        say(
            "For several classes take a cross entropy with one output unit for each class; for two "
            "classes number them 0 and 1; for amounts take a regression loss."
        ),
    ),
    (
        r"0D or 1D target tensor expected, multi-target not supported",
        say("The loss takes class numbers of shape (batch,), and was given a second axis."),
        say(
            "Hand over targets.squeeze(1) for class numbers, or targets.argmax(1) for one-hot rows."
        ),
    ),
    (
        r"expected (target dtype to be Long|scalar type Long)",
        say("The loss takes class numbers as integers, and was given floating-point targets."),
        say(
            "Hand over targets.long() if they are class numbers; for amounts take a regression "
            "loss."
        ),
    ),
    (
        r"Expected floating point type for target with class probabilities",
        say(
            "The targets have the shape of the outputs, and so are read as probabilities of "
            "classes, but they are integers."
        ),
        say(
            "Hand over targets.argmax(1) for one-hot rows, or targets.float(); with one output "
            "unit take BCEWithLogitsLoss."
        ),
    ),
    (
        r"Expected target size",
        say(
            "A cross entropy takes the classes on axis 1, (batch, classes, steps), and the outputs "
            "have them elsewhere."
        ),
        say("Hand over outputs.transpose(1, 2), or outputs.flatten(0, 1) with targets.flatten()."),
    ),
    (
        r"Expected input batch_size \(\d+\) to match target batch_size",
        say("The outputs have another number of rows than the targets."),
        say(
            "Look at where the network changes the number of rows: a view(-1, n) or flatten() "
            "whose sizes are wrong, or the steps of a sequence taken for rows."
        ),
    ),
    (
        r"Using a target size .* different to the input size|Target size .* must be the same as",
        say("Outputs and targets have different shapes."),
        say("Give both the same shape: targets.unsqueeze(1), or outputs.squeeze(1)."),
    ),
    (
        r"Found dtype (Long|Int|Bool|Short|Byte) but expected|result type Float can't be cast",
        say("The loss compares floating-point numbers, and the targets are integers."),
        say(
            "Hand over targets.float(); if they are class numbers, take CrossEntropyLoss with one "
            "output unit for each class."
        ),
    ),
    (
        r"Arguments `target` and `output` must have the same shape up until",
        say(
            "A sparse cross entropy takes class numbers, and was given targets of the shape of the "
            "outputs."
        ),
        say("Take categorical_crossentropy for one-hot targets, or hand over targets.argmax(-1)."),
    ),
    (
        r"Arguments `target` and `output` must have the same (shape|rank)",
        say(
            "The targets have another shape than the outputs: class numbers where one-hot rows are "
            "taken, or an output layer of the wrong number of units."
        ),
        say(
            "Take sparse_categorical_crossentropy for class numbers; otherwise give the output "
            "layer one unit for each column of the targets."
        ),
    ),
    (
        r"cross_entropy_loss\(\): argument 'input'|_loss\w*\(\): argument 'input' .* must be Tens",
        say("The network puts out several tensors, and the loss takes one."),
        say("Hand the loss the one that holds the predictions, as outputs[0] or outputs.logits."),
    ),
    (
        r"^\w+ in the loss: ",
        say("The loss cannot take the outputs and targets that it is given."),
        say("Look at the shapes and types of outputs and targets, and at what the loss expects."),
    ),
)
"""Pattern of a message, what is behind it, and what to do. The patterns are those of torch 2.13 and
Keras 3.15; each was made to occur. The last one is how :mod:`fitwell.preflight` notes any other
exception of a loss."""


def raised(given: Given) -> Mismatch | None:
    """An exception of the loss that is known to come from outputs or targets that do not fit."""
    for pattern, explanation, advice in _MESSAGES:
        if re.search(pattern, given.error):
            return Mismatch(
                "severe",
                together([explanation, say("The loss raised: {error}.", error=_line(given.error))]),
                advice,
                say("the loss cannot take the outputs and targets"),
                {"raised": 1.0, **given.measured("target_low", "target_high")},
                1.0,
            )
    return None


def _line(message: str) -> str:
    """Return the first line of a message, without the full stop."""
    return next(iter(message.splitlines()), "").strip().rstrip(".")[:200]
