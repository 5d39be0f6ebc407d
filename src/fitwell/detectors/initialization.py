"""First weights that a network cannot start from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import ClassVar, NamedTuple, final

from fitwell.detectors.curves import has_learned, remaining_loss
from fitwell.detectors.depth import line
from fitwell.detectors.first_loss import times_a_guess
from fitwell.detectors.layers import decades, first_step, inputs_are_blank
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import Finding, LayerFact, Quantity, Severity, Trace
from fitwell.words import Said, say, together

_SCALED = ("Linear", "Conv1d", "Conv2d", "Conv3d", "linear", "conv1d", "conv2d", "conv3d")
"""Kinds whose weights have a right size that follows from the number of inputs."""

_SHRINKING = frozenset({"sigmoid", "hardsigmoid", "softmax"})
"""Activations that shrink the signal whatever the weights: not the fault of these."""

_JUMP = 2.0
"""Factor from one layer to the next beyond which a layer can be what makes a signal grow or fall;
weights of the right size keep it within a factor of two."""


class _Reason(NamedTuple):
    """One thing that is wrong with the first weights."""

    said: str
    evidence: dict[str, float]
    layers: Sequence[str]
    phrase: str


@final
@dataclass(frozen=True, slots=True)
class BadInitialization(Detector):
    """Report first weights that are of the wrong size, or all alike.

    Definition, at step 0 only, for layers that no normalisation follows:

    - *growing*: the root mean square of the layers' outputs grows over depth, by a straight fit
      to its logarithm, by ``max_growth`` decades or more, and by a quarter of that after two
      standard errors;
    - *shrinking*: what tells samples apart in the outputs falls likewise by ``max_fall`` decades
      or more, and by two thirds of that without its largest drop: where it drops at one layer,
      units are dead there, and depth has no part in it. Not judged behind sigmoids,
      which shrink it whatever the weights;
    - *scale*: the root mean square of a hidden layer's weights is more than ``max_factor`` times
      that of He's rule, √(2 / inputs), before a ReLU, or of √(1 / inputs) before any other, or
      less than 1/20 of it; or it is above the rule by ``max_odd`` / 2 and ``max_odd`` times further
      from it than the middle one of the other layers: one layer that was made otherwise;
    - *alike*: all units of a hidden layer have the same weights, and the layer that follows cannot
      tell them apart either, so that they get the same gradient and stay the same;
    - *sure*: where none of these holds, the first loss of a classifier is ``max_first_loss`` times
      that of equal probabilities or more: its output layer is too large.

    A network that has learned all the same had no bad first weights, but for those that are too
    large by *scale*, as long as more than ``min_remaining`` of the loss is left: such a network has
    fitted its last layers to what the first ones happen to say. PyTorch's own default is 0.41 of
    He's rule: too small for deep ReLU networks, harmless for shallow ones. Embeddings, recurrent
    and output layers are left out of *scale* and *alike*: a zero output layer is sound, and so is a
    zero layer before or after one whose units differ, as in a residual branch or an adapter.

    The layers named are those that the fault is in, not what it reaches: for *scale* and *alike*
    the ones with such weights, for *growing* and *shrinking* those whose output jumps against the
    one before, by at least half of the largest jump's decades.

    Evidence: ``growth`` and ``fall`` in decades, ``factor`` of the worst layer against the rule,
    ``odd``, how much further from the rule it is than the others, ``alike``, the number of such
    layers, ``first_loss`` over that of a guess; each where it applies.

    Args:
        max_growth: Most decades of growth: a hundredfold. SageMaker Debugger takes a ratio of 10 of
            variances across layers.
        max_fall: Most decades of fall where the run shows that nothing was learned; 1 more where
            nothing is known of learning: 8 ReLU layers as PyTorch makes them fall by 3.1 and learn.
        max_factor: Largest ratio to the rule; at least 1. Ten times PyTorch's default before a ReLU
            is 4.1; the largest of a sound initialisation of ours is 1.
        max_odd: Largest ratio of one layer's factor to that of the others; at least 1. A fixed
            deviation for all layers differs by the root of the ratio of their inputs.
        max_first_loss: Largest ratio of the first loss to that of equal probabilities; at least 1.
            Logits of deviation d add about d²/2 to it, hence three times log 10 is a deviation of
            3; weights of He's size give 1.4.
        min_remaining: Share of a constant guess's loss below which nothing is called bad.

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Glorot and Bengio, AISTATS 2010. He et al., "Delving deep into rectifiers", ICCV 2015.
    """

    condition: ClassVar[str] = "bad_initialization"
    max_growth: float = 2.0
    max_fall: float = 3.0
    max_factor: float = 4.0
    max_odd: float = 5.0
    max_first_loss: float = 3.0
    min_remaining: float = 0.1

    def __post_init__(self) -> None:
        in_range("max_growth", self.max_growth, 0, math.inf, open_low=True)
        in_range("max_fall", self.max_fall, 0, math.inf, open_low=True)
        in_range("max_factor", self.max_factor, 1, math.inf)
        in_range("max_odd", self.max_odd, 1, math.inf)
        in_range("max_first_loss", self.max_first_loss, 1, math.inf)
        in_range("min_remaining", self.min_remaining, 0, 1)

    def unjudged(self, trace: Trace) -> str | None:
        """Say that no weights of step 0 were recorded."""
        if first_step(trace, Quantity.WEIGHT_NORM):
            return None
        return say("bad_initialization: no weights of a layer were read in the first step.")

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding that names all that is wrong, or none."""
        left = remaining_loss(trace)
        if (left is not None and left < self.min_remaining) or inputs_are_blank(trace):
            return ()
        if has_learned(trace):
            reasons = [self._scale(trace, least=0.0)]
        else:
            scale = self._scale(trace, least=0.05)
            reasons = [scale, self._alike(trace), self._depth(trace)]
        told = [reason for reason in reasons if reason is not None]
        if not told and not has_learned(trace):
            told = [reason for reason in [self._sure(trace)] if reason is not None]
        if not told:
            return ()
        evidence = {name: value for reason in told for name, value in reason.evidence.items()}
        layers = list(dict.fromkeys(name for reason in told for name in reason.layers))
        return (
            Finding(
                condition=self.condition,
                severity=_severity(evidence),
                confidence=0.7 if left is None else 0.85,
                layers=tuple(layers),
                since=None,
                evidence=evidence,
                explanation=say(
                    "The first weights are not fit to start from: {reasons}.",
                    reasons=together([reason.said for reason in told], "; "),
                ),
                phrase=together([reason.phrase for reason in told], " -> "),
            ),
        )

    def _depth(self, trace: Trace) -> _Reason | None:
        plain = [layer for layer in trace.facts.layers if layer.role != "recurrent"]
        if any(layer.normalized for layer in plain):
            return None
        sizes = first_step(trace, Quantity.OUTPUT_RMS)
        names = [layer.name for layer in plain if layer.name in sizes]
        fit = line([sizes[name] for name in names], floor=1e-45)
        if len(names) >= 3 and fit.change >= self.max_growth and fit.certain >= self.max_growth / 4:
            factor = 10 ** (fit.change / (len(names) - 1))
            return _Reason(
                say(
                    "the signal grows by {decades} decades over {layers} layers",
                    decades=f"{fit.change:.1f}",
                    layers=len(names),
                ),
                {"growth": fit.change},
                _jumps(names, sizes, 1),
                say("activations grow ×{factor} a layer", factor=f"{factor:.2g}"),
            )
        signals = first_step(trace, Quantity.SIGNAL_RMS)
        names = [layer.name for layer in plain if layer.name in signals]
        fit = line([signals[name] for name in names])
        least = self.max_fall + (1.0 if remaining_loss(trace) is None else 0.0)
        shrinking = any(layer.activation in _SHRINKING for layer in plain)
        steady = -_without_jump([signals[name] for name in names]) >= 2 * least / 3
        if len(names) >= 4 and -fit.change >= least and steady and not shrinking:
            factor = 10 ** (-fit.change / (len(names) - 1))
            return _Reason(
                say(
                    "what tells samples apart falls by {decades} decades over {layers} layers",
                    decades=f"{-fit.change:.1f}",
                    layers=len(names),
                ),
                {"fall": -fit.change},
                _jumps(names, signals, -1),
                say("signals shrink ×{factor} a layer", factor=f"{1 / factor:.2g}"),
            )
        return None

    def _scale(self, trace: Trace, *, least: float) -> _Reason | None:
        norms = first_step(trace, Quantity.WEIGHT_NORM)
        factors = {
            layer.name: norms[layer.name] / _right_norm(layer)
            for layer in _hidden(trace)
            if layer.name in norms and layer.kind in _SCALED and _right_norm(layer)
        }
        factors = {name: f for name, f in factors.items() if f > 0 and math.isfinite(f)}
        off = {n: f for n, f in factors.items() if not least <= f <= self.max_factor}
        odd = {n: f for n, f in factors.items() if self._is_odd(n, factors)}
        named = {**off, **odd}
        if not named:
            return None
        worst = max(named, key=lambda n: abs(decades(named[n])))
        evidence = {"factor": named[worst]}
        if worst in odd:
            evidence["odd"] = odd[worst] / _others(worst, factors)
        return _Reason(
            say(
                "the weights of {layer} are {times} times as large as they should be",
                layer=worst,
                times=f"{named[worst]:.2g}",
            ),
            evidence,
            tuple(named),
            _wrong_size(worst, evidence),
        )

    def _is_odd(self, name: str, factors: Mapping[str, float]) -> bool:
        """Whether a layer's weights are too large, and the others' are not."""
        limit = max(self.max_odd * _others(name, factors), self.max_odd / 2)
        return len(factors) > 2 and factors[name] > limit

    def _sure(self, trace: Trace) -> _Reason | None:
        factor = times_a_guess(trace)
        if factor is None or factor < self.max_first_loss:
            return None
        heads = [layer.name for layer in trace.facts.layers if layer.role == "output"]
        return _Reason(
            say(
                "the first loss is {times} times that of a guess, so that the output layer starts "
                "out sure of wrong answers",
                times=f"{factor:.2g}",
            ),
            {"first_loss": factor},
            heads,
            say("outputs {times} times as costly as a guess at step 0", times=f"{factor:.2g}"),
        )

    def _alike(self, trace: Trace) -> _Reason | None:
        spread = first_step(trace, Quantity.UNIT_SPREAD)
        order = [layer.name for layer in trace.facts.layers if layer.name in spread]
        same = {name for name in order if spread[name] < 1e-6}
        behind = dict(pairwise(order))
        names = [
            layer.name
            for layer in _hidden(trace)
            if layer.units > 1
            and layer.name in same
            and not layer.bypassed
            and behind.get(layer.name, layer.name) in same
        ]
        if not names:
            return None
        listed = ", ".join(names[:3])
        return _Reason(
            say(
                "all units of {layers} have the same weights and will stay the same", layers=listed
            ),
            {"alike": float(len(names))},
            names,
            say("all units of {layers} alike", layers=listed),
        )


def _hidden(trace: Trace) -> list[LayerFact]:
    return [f for f in trace.facts.layers if f.role == "hidden" and not f.normalized]


def _right_norm(layer: LayerFact) -> float:
    """Norm of weights of the right size: √(units · inputs) times their root mean square."""
    gain = 2.0 if "relu" in layer.activation else 1.0
    return math.sqrt(gain * layer.units) if layer.fan_in else 0.0


def _others(name: str, factors: Mapping[str, float]) -> float:
    """Middle factor of the other layers."""
    return median([f for n, f in factors.items() if n != name] or [factors[name]])


def _wrong_size(layer: str, evidence: Mapping[str, float]) -> Said:
    factor = evidence.get("odd", evidence["factor"])
    if factor > 1:
        return say(
            "weights of {layer} {times} times too large at step 0",
            layer=layer,
            times=f"{factor:.2g}",
        )
    return say(
        "weights of {layer} {times} times too small at step 0",
        layer=layer,
        times=f"{1 / factor:.2g}",
    )


def _without_jump(values: Sequence[float]) -> float:
    """Decades that the values would change by if the largest fall were like the other steps."""
    logs = [max(decades(value), -15.0) for value in values]
    steps = sorted(after - before for before, after in pairwise(logs))
    return sum(steps[1:]) * len(steps) / (len(steps) - 1) if len(steps) > 1 else 0.0


def _jumps(names: Sequence[str], sizes: Mapping[str, float], sign: int) -> tuple[str, ...]:
    """Layers whose output is much larger, or smaller, than that of the layer before."""
    steps = {
        name: sign * (decades(sizes[name]) - decades(sizes[before]))
        for before, name in pairwise(names)
    }
    least = max(math.log10(_JUMP), max(steps.values()) / 2)
    return tuple(name for name, step in steps.items() if step >= least) or tuple(steps)


def _severity(evidence: Mapping[str, float]) -> Severity:
    """Alike units can never differ, five decades in depth drown in rounding: severe."""
    depth = max(evidence.get("growth", 0.0), evidence.get("fall", 0.0))
    return "severe" if "alike" in evidence or depth >= 5 else "moderate"
