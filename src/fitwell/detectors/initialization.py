"""First weights that a network cannot start from."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, final

from fitwell.detectors.curves import has_learned, remaining_loss, slope
from fitwell.detectors.layers import decades, first_step
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import Finding, LayerFact, Quantity, Severity, Trace

_SCALED = ("Linear", "Conv1d", "Conv2d", "Conv3d", "linear", "conv1d", "conv2d", "conv3d")
"""Kinds whose weights have a right size that follows from the number of inputs."""

_SHRINKING = frozenset({"sigmoid", "hardsigmoid", "softmax"})
"""Activations that shrink the signal whatever the weights: not the fault of these."""


@final
@dataclass(frozen=True, slots=True)
class BadInitialization(Detector):
    """Report first weights that are of the wrong size, or all alike.

    Definition, at step 0 only, for layers that no normalisation follows:

    - *growing*: the root mean square of the layers' outputs grows over depth, by a straight fit
      to its logarithm, by ``max_growth`` decades or more;
    - *shrinking*: what tells samples apart in the outputs falls likewise by ``max_fall`` decades
      or more. Not judged behind sigmoids, which shrink it whatever the weights;
    - *scale*: the root mean square of a hidden layer's weights is more than ``max_factor`` times
      that of He's rule, √(2 / inputs), before a ReLU, or of √(1 / inputs) before any other, or
      less than 1/20 of it;
    - *alike*: all units of a hidden layer have the same weights, so that they get the same
      gradient and stay the same.

    A network that has learned all the same had no bad first weights. PyTorch's own default is
    0.41 of He's rule: too small for deep ReLU networks, harmless for shallow ones. Embeddings,
    recurrent and output layers are left out of *scale* and *alike*: a zero output layer is sound.

    Evidence: ``growth`` and ``fall`` in decades, ``factor`` of the worst layer against the rule,
    ``alike``, the number of such layers; each where it applies.

    Args:
        max_growth: Most decades of growth: a hundredfold. SageMaker Debugger takes a ratio of 10 of
            variances across layers.
        max_fall: Most decades of fall where the run shows that nothing was learned; 1 more where
            nothing is known of learning: 8 ReLU layers as PyTorch makes them fall by 3.1 and learn.
        max_factor: Largest ratio to the rule; at least 1.

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Glorot and Bengio, AISTATS 2010. He et al., "Delving deep into rectifiers", ICCV 2015.
    """

    condition: ClassVar[str] = "bad_initialization"
    max_growth: float = 2.0
    max_fall: float = 3.0
    max_factor: float = 5.0

    def __post_init__(self) -> None:
        in_range("max_growth", self.max_growth, 0, math.inf, open_low=True)
        in_range("max_fall", self.max_fall, 0, math.inf, open_low=True)
        in_range("max_factor", self.max_factor, 1, math.inf)

    def unjudged(self, trace: Trace) -> str | None:
        """Say that step 0 was not recorded."""
        if first_step(trace, Quantity.WEIGHT_NORM):
            return None
        return "bad_initialization: the first step was not recorded."

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding that names all that is wrong, or none."""
        if has_learned(trace):
            return ()
        reasons: list[str] = []
        evidence: dict[str, float] = {}
        layers: list[str] = []
        for part in (self._depth, self._scale, self._alike):
            said, numbers, names = part(trace)
            if said:
                reasons.append(said)
                evidence.update(numbers)
                layers += [name for name in names if name not in layers]
        if not reasons:
            return ()
        proven = remaining_loss(trace) is not None
        return (
            Finding(
                condition=self.condition,
                severity=_severity(evidence),
                confidence=0.85 if proven else 0.7,
                layers=tuple(layers),
                since=None,
                evidence=evidence,
                explanation=f"The first weights are not fit to start from: {'; '.join(reasons)}.",
            ),
        )

    def _depth(self, trace: Trace) -> tuple[str, dict[str, float], list[str]]:
        plain = [layer for layer in trace.facts.layers if layer.role != "recurrent"]
        if any(layer.normalized for layer in plain):
            return "", {}, []
        sizes = first_step(trace, Quantity.OUTPUT_RMS)
        names = [layer.name for layer in plain if layer.name in sizes]
        growth = slope([decades(sizes[name]) for name in names])
        if len(names) >= 3 and growth >= self.max_growth:
            said = f"the signal grows by {growth:.1f} decades over {len(names)} layers"
            return said, {"growth": growth}, names[1:]
        signals = first_step(trace, Quantity.SIGNAL_RMS)
        names = [layer.name for layer in plain if layer.name in signals]
        fall = -slope([max(decades(signals[name]), -15.0) for name in names])
        least = self.max_fall + (1.0 if remaining_loss(trace) is None else 0.0)
        shrinking = any(layer.activation in _SHRINKING for layer in plain)
        if len(names) >= 4 and fall >= least and not shrinking:
            said = f"what tells samples apart falls by {fall:.1f} decades over {len(names)} layers"
            return said, {"fall": fall}, names[1:]
        return "", {}, []

    def _scale(self, trace: Trace) -> tuple[str, dict[str, float], list[str]]:
        norms = first_step(trace, Quantity.WEIGHT_NORM)
        factors = {
            layer.name: norms[layer.name] / _right_norm(layer)
            for layer in _hidden(trace)
            if layer.name in norms and layer.kind in _SCALED and _right_norm(layer)
        }
        off = {n: f for n, f in factors.items() if not 0.05 <= f <= self.max_factor and f > 0}
        if not off:
            return "", {}, []
        name = max(off, key=lambda n: abs(decades(off[n])))
        said = f"the weights of {name} are {off[name]:.2g} times as large as they should be"
        return said, {"factor": off[name]}, list(off)

    def _alike(self, trace: Trace) -> tuple[str, dict[str, float], list[str]]:
        spread = first_step(trace, Quantity.UNIT_SPREAD)
        names = [
            layer.name
            for layer in _hidden(trace)
            if layer.units > 1 and spread.get(layer.name, 1.0) < 1e-6
        ]
        if not names:
            return "", {}, []
        said = f"all units of {', '.join(names[:3])} have the same weights and will stay the same"
        return said, {"alike": float(len(names))}, names


def _hidden(trace: Trace) -> list[LayerFact]:
    return [f for f in trace.facts.layers if f.role == "hidden" and not f.normalized]


def _right_norm(layer: LayerFact) -> float:
    """Norm of weights of the right size: √(units · inputs) times their root mean square."""
    gain = 2.0 if "relu" in layer.activation else 1.0
    return math.sqrt(gain * layer.units) if layer.fan_in else 0.0


def _severity(evidence: dict[str, float]) -> Severity:
    """Alike units can never differ, five decades in depth drown in rounding: severe."""
    depth = max(evidence.get("growth", 0.0), evidence.get("fall", 0.0))
    return "severe" if "alike" in evidence or depth >= 5 else "moderate"
