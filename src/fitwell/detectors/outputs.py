"""Outputs, targets and loss that do not fit one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, final

from fitwell.detectors import class_losses, number_losses
from fitwell.detectors.given import Given, Mismatch, given
from fitwell.detectors.raised import raised
from fitwell.interfaces import Detector
from fitwell.records import SEVERITIES, Finding, Trace
from fitwell.words import say

_RULES: Final[tuple[Callable[[Given], Mismatch | None], ...]] = (
    raised,
    class_losses.single_unit,
    class_losses.rows_as_classes,
    class_losses.too_few_units,
    class_losses.cut_class_numbers,
    class_losses.targets_outside,
    class_losses.softmax_over_wrong_axis,
    class_losses.no_log_probabilities,
    class_losses.double_softmax,
    class_losses.squashed_logits,
    class_losses.logits_as_probabilities,
    class_losses.one_sided_logits,
    class_losses.not_exclusive,
    number_losses.broadcast,
    number_losses.class_numbers,
    number_losses.out_of_reach,
    number_losses.brier,
)
"""Every rule; where several of one severity speak, the first one is named: it explains the rest."""


@final
@dataclass(frozen=True, slots=True)
class LossOutputMismatch(Detector):
    """Report an output layer that does not fit the loss, or targets that fit neither.

    About two thirds of the faults behind 109 questions on programs that do not train are of this
    kind (see the references): the network trains badly or not at all, and no change of learning
    rate, weights or normalisation can help. So a finding carries ``advice``, and explains what
    follows from it.

    Definition: what the loss takes is known from its class; what it is given, from the activation
    that ends the network *and* from the smallest and largest output, target and sum of a row that
    were measured. Named are

    - *cross entropy*: softmax, sigmoid or tanh before a loss that applies a softmax itself; one
      unit; class numbers without a unit; a softmax over the batch; (batch,) taken for classes;
    - *binary cross entropy*: sigmoid before one that applies it itself, logits into one that does
      not, targets outside [0, 1];
    - *log probabilities*: probabilities or logits into NLLLoss or KLDivLoss;
    - *probabilities* (Keras' default): logits, or sigmoids for exclusive classes;
    - *regression*: targets that the last activation cannot reach; shapes that stretch one another;
      class numbers;
    - ReLU as the output of a classifier;
    - exceptions that torch or Keras raise for such outputs and targets.

    It is silent, because it is sound, on: log_softmax before cross entropy (applied twice it
    changes nothing); sigmoid before BCELoss; sigmoid or tanh on targets scaled into their range;
    soft and smoothed targets; distillation by KLDivLoss of log probabilities; one-hot targets with
    binary cross entropy; losses that it does not know. A squared error of a softmax is sound too:
    mild, and only where nothing was learned by it.

    Severity: severe, for the loss does not measure what is wanted. What runs learn with all the
    same is milder there: a ReLU before a cross entropy, targets a little out of reach, class
    numbers as amounts.

    Evidence: the numbers that the rule rests on: ``low``, ``high`` of the outputs, ``row_error``
    (largest distance from 1 of the sum of a row), ``target_low``, ``target_high``, ``units``,
    ``beyond`` (how far the targets are out of reach, in their standard deviations); ``raised``.

    There is no limit to choose: the ranges are those of the functions, and the tolerances beside
    them are rounding (:mod:`fitwell.detectors.given`), but for the reach of a regression
    (:data:`fitwell.detectors.number_losses`).

    References:
        Humbatova et al., "Taxonomy of real faults in deep learning systems", ICSE 2020. Nikanjam
        et al., "Automatic fault detection for deep learning programs using graph transformations",
        TOSEM 2022. Schoop et al., "UMLAUT", CHI 2021.
    """

    condition: ClassVar[str] = "loss_output_mismatch"

    def unjudged(self, trace: Trace) -> str | None:
        """Say that the loss is not known, or what it was given."""
        facts = trace.facts
        if facts.error or facts.output_shape or facts.output_activation:
            return None
        return say(
            "{missing}; {hint}.",
            missing=say("loss_output_mismatch: needs the loss function and what it is given"),
            hint=say("pass loss_fn to watch, as an nn.Module"),
        )

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding: the worst mismatch, and of several the one that explains the rest."""
        seen = given(trace)
        found = [m for m in (rule(seen) for rule in _RULES) if m is not None]
        if not found:
            return ()
        worst = max(found, key=lambda mismatch: SEVERITIES.index(mismatch.severity))
        heads = tuple(layer.name for layer in trace.facts.layers if layer.role == "output")
        return (
            Finding(
                condition=self.condition,
                severity=worst.severity,
                confidence=worst.confidence,
                layers=heads,
                since=None,
                evidence=worst.evidence,
                explanation=worst.explanation,
                advice=worst.advice,
                phrase=worst.phrase,
            ),
        )
