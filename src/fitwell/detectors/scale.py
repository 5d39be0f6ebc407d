"""Inputs and targets on scales that networks do not start from well."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import ClassVar, NamedTuple, final

from fitwell.detectors.loss_kinds import loss_kind
from fitwell.detectors.outcome import is_tried, went_well
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import Finding, Quantity, Severity, Trace
from fitwell.words import say, together

_HARMFUL = 3.0
"""Multiple of a limit from which a run is held to be worse for it even where it learned."""

_FEW = 10
"""Number of first readings that are pooled: later batches say nothing new of the scale."""


class _Fault(NamedTuple):
    """One way in which a scale is off."""

    factor: float
    said: str
    advice: str
    phrase: str
    evidence: dict[str, float]


@final
@dataclass(frozen=True, slots=True)
class UnscaledInputs(Detector):
    """Report inputs, or the targets of a regression, whose scale the first weights do not fit.

    First weights are drawn for inputs of about unit size: inputs of size s make the first outputs
    and the gradient of the first weights s times as large, so that one learning rate cannot serve
    the first layer and the others; features of very different deviations make the loss a narrow
    valley along which gradient descent crawls.

    Definition, from the first readings of a run:

    - *size*: the root mean square of the inputs is ``max_size`` or more;
    - *spread*: the feature with the largest deviation varies ``max_spread`` times as much as the
      one with the smallest, and the largest value is ``max_size`` or more. Without the latter it is
      no fault: rare pixels and rare words vary little among others and do no harm;
    - *tiny*: no input is larger than ``min_peak``;
    - *targets*: in a regression, the root mean square of the targets is ``max_target`` or more, and
      no bounded step of a network of unit size gets there soon.

    It is silent for tokens, and where a normalisation reads the input first; on *size* and *tiny*
    also where one follows the first layer, for that layer's scale then cancels. A run that has
    learned all the same, validation included, is called mild at most: the scale did no harm.

    Evidence: ``input_rms``, ``input_max``, ``input_spread``, ``target_rms``, as far as they are out
    of range.

    Args:
        max_size: Largest tolerated root mean square of the inputs. Standardised inputs have 1;
            grey values to 16 as in scikit-learn's digits have 8 and are learned well; values to 255
            have 70 to 150 and are what is to be found.
        max_spread: Largest tolerated ratio of the deviations of features.
        min_peak: Smallest tolerated largest input. Returns and voltages come as 1e-3.
        max_target: Largest tolerated root mean square of the targets.

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        LeCun et al., "Efficient BackProp", 1998, section 4.3. Schoop et al., "UMLAUT", CHI 2021,
        tolerates inputs in [-1, 1] alone.
    """

    condition: ClassVar[str] = "unscaled_inputs"
    max_size: float = 20.0
    max_spread: float = 100.0
    min_peak: float = 0.01
    max_target: float = 30.0

    def __post_init__(self) -> None:
        in_range("max_size", self.max_size, 1, math.inf)
        in_range("max_spread", self.max_spread, 1, math.inf)
        in_range("min_peak", self.min_peak, 0, 1)
        in_range("max_target", self.max_target, 1, math.inf)

    def unjudged(self, trace: Trace) -> str | None:
        """Say that no input was measured."""
        if trace.facts.input_kind == "tokens" or trace.series(Quantity.INPUT_NORM):
            return None
        return say("unscaled_inputs: the inputs of the network were not seen.")

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding for what is farthest out of scale, or none."""
        faults = [*self._inputs(trace), *self._targets(trace)]
        if not faults:
            return ()
        worst = max(faults, key=lambda fault: fault.factor)
        tried = is_tried(trace)
        layers = trace.facts.layers[:1] if "target_rms" not in worst.evidence else ()
        return (
            Finding(
                condition=self.condition,
                severity=_severity(worst, tried=tried, well=went_well(trace)),
                confidence=0.8 if tried else 0.65,
                layers=tuple(layer.name for layer in layers),
                since=None,
                evidence={k: v for fault in faults for k, v in fault.evidence.items()},
                explanation=together([fault.said for fault in faults]),
                advice=together([fault.advice for fault in faults]),
                phrase=worst.phrase,
            ),
        )

    def _inputs(self, trace: Trace) -> Iterable[_Fault]:
        facts = trace.facts
        if facts.input_kind == "tokens" or facts.input_normalized:
            return
        size, peak, spread = (
            _typical(trace, q)
            for q in (Quantity.INPUT_NORM, Quantity.INPUT_MAX, Quantity.INPUT_SPREAD)
        )
        cancels = bool(facts.layers) and facts.layers[0].normalized
        if size >= self.max_size and not cancels:
            said = say(
                "The inputs have a root mean square of {size}, where networks expect 1.",
                size=f"{size:.3g}",
            )
            advice = say("Scale the inputs to mean 0 and deviation 1 (images: divide by 255).")
            yield _Fault(
                size / self.max_size,
                said,
                advice,
                say("inputs of size {size}", size=f"{size:.2g}"),
                {"input_rms": size},
            )
        if spread >= self.max_spread and peak >= self.max_size:
            said = say(
                "One input feature varies {times} times as much as another, and the largest value "
                "is {peak}.",
                times=f"{spread:.2g}",
                peak=f"{peak:.3g}",
            )
            yield _Fault(
                spread / self.max_spread,
                said,
                say("Scale every feature by itself to mean 0 and deviation 1."),
                say("features that differ {times}-fold in scale", times=f"{spread:.2g}"),
                {"input_spread": spread, "input_max": peak},
            )
        if 0 < peak <= self.min_peak and not cancels:
            yield _Fault(
                self.min_peak / peak,
                say(
                    "No input is larger than {peak}: next to the biases, rows hardly differ.",
                    peak=f"{peak:.2g}",
                ),
                say("Scale the inputs to mean 0 and deviation 1."),
                say("inputs of at most {peak}", peak=f"{peak:.2g}"),
                {"input_max": peak},
            )

    def _targets(self, trace: Trace) -> Iterable[_Fault]:
        if loss_kind(trace.facts.loss) not in ("squared", "absolute"):
            return
        mean, spread = (_typical(trace, q) for q in (Quantity.TARGET_MEAN, Quantity.TARGET_SPREAD))
        size = math.hypot(mean, spread)
        if size >= self.max_target:
            said = say(
                "The targets have a mean of {mean} and a deviation of {deviation}, and the "
                "network starts near 0.",
                mean=f"{mean:.3g}",
                deviation=f"{spread:.2g}",
            )
            advice = say("Standardise the targets before training, and undo it on the predictions.")
            yield _Fault(
                size / self.max_target,
                said,
                advice,
                say("targets of size {size}", size=f"{size:.2g}"),
                {"target_rms": size},
            )


def _typical(trace: Trace, quantity: Quantity) -> float:
    """Return the median of the first readings, or NaN."""
    values = [v for _, v in trace.series(quantity)[:_FEW] if math.isfinite(v)]
    return median(values) if values else math.nan


def _severity(fault: _Fault, *, tried: bool, well: bool) -> Severity:
    """Mild where it did little harm; severe ten times beyond the limit in a run that failed.

    Inputs three times beyond the limit, as pictures to 255 are, are named in a run that learned
    too: such cases of the corpus learned, and ended worse than their scaled twins.
    """
    if well:
        harmless = fault.factor < _HARMFUL or "target_rms" in fault.evidence
        return "mild" if harmless else "moderate"
    return "severe" if tried and fault.factor >= 10 else "moderate"
