"""A network that has come to rest far from what its data allow."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import ClassVar, NamedTuple, final

from fitwell.detectors.course import Course, attainable, course, made_targets
from fitwell.detectors.curves import curve, guess_loss, needs_losses
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import Facts, Finding, LayerFact, Quantity, Severity, Trace
from fitwell.words import Said, enumerated, say, say_many

_STRONG_DROPOUT = 0.6
"""Dropout above this is named: Srivastava et al. advise 0.5 for hidden units."""

_SHRUNK = 0.5
"""Weights that lost this share of their size under decay are held back by it."""

_CLASSES_A_UNIT = 3
"""A hidden layer with no more than one unit for so many classes is named as a bottleneck."""

_FEW_UNITS = 3
"""From four units on, even a language of many letters can be told apart."""

_OUTPUTS_A_UNIT = 12
"""A network none of whose layers has a unit for so many numbers of its output is too narrow."""


_ABOVE_CHANCE = 1.1
"""A loss above this share of a constant guess's is no matter of capacity: others judge it."""


_NOTHING_LEARNED = 0.97
"""From this share of a constant guess's loss on nothing was learned: that is ``not_learning``, and
underfitting only where the facts show what holds the network back."""

_STEADY_SHARE = 0.35
"""A second half that brings this share of a straight fit's whole fall has not slowed down."""


class _Rest(NamedTuple):
    """Where a run stands at its end, in shares of a constant guess's loss."""

    left: float
    floor: float | None
    change: float
    error: float
    falling: bool


@final
@dataclass(frozen=True, slots=True)
class Underfitting(Detector):
    """Report a network whose loss has come to rest far from what its data allow.

    Definition: over the second half of the run the training loss no longer falls (its trend is
    within the noise, or small against what is left), and at the end it is

    - ``max_remaining`` or more of what a constant guess costs; or
    - ``margin`` or more above what near rows show to be attainable: rows with nearly the same
      inputs carry the same targets, and the network does not tell them apart all the same.

    Of the training and the validation loss the lower one counts: a training loss under dropout,
    mixup or smoothing is higher than what the network can do.

    A loss that cannot be lowered is no underfitting: where near rows carry different targets
    (label noise, or inputs that hold little about the target), the floor is high, and the detector
    is silent, or mild. Where it is not known, only the first rule is left. Reconstructions
    (several numbers as target) are judged by the first rule alone, since a bottleneck is meant to
    lose something. A classifier that is right in ``max_score`` of the rows has not underfitted,
    whatever its loss.

    While the loss still falls the run is short or slow, not underfitted: the finding is mild at
    most, and advises more steps. Too small a learning rate and a network that has not learned at
    all have detectors of their own, which explain this one.

    What holds it back is named where the facts show it: a narrow hidden layer, strong dropout,
    weights that decay has shrunk.

    Evidence: ``remaining``, the loss at the end as a share of a constant guess's; ``attainable``,
    the floor, likewise; ``trend`` over the second half with its ``trend_error``; ``narrowest``
    hidden layer, ``dropout``, ``weight_decay`` and ``shrunk``, the weights' size at the end over
    that at the start, where they are the reason.

    Args:
        max_remaining: Largest share of a constant guess's loss that counts as learned something.
            Regressions on real tables often keep 0.5 to 0.7 of it for good.
        margin: Least distance to what is attainable. Healthy runs ended within 0.15 of it;
            smoothing of labels by 0.1 adds up to 0.2.
        max_held_back: The same where the facts show what holds the network back. Autoencoders of
            digits with a code of one unit kept 0.5, with four units 0.2.
        max_score: Share of rows classified rightly from which on nothing is missing.
        min_steps: Least number of optimizer steps between the first and the last of at least ten
            recorded losses; at least 10.

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Cover and Hart, "Nearest neighbor pattern classification", 1967: the error of the nearest
        neighbour bounds the attainable one from both sides.
    """

    condition: ClassVar[str] = "underfitting"
    max_remaining: float = 0.85
    margin: float = 0.3
    max_held_back: float = 0.4
    max_score: float = 0.9
    min_steps: int = 100

    def __post_init__(self) -> None:
        in_range("max_remaining", self.max_remaining, 0, float("inf"), open_low=True)
        in_range("margin", self.margin, 0, 1)
        in_range("max_held_back", self.max_held_back, 0, 1)
        in_range("max_score", self.max_score, 0, 1)
        in_range("min_steps", self.min_steps, 10, float("inf"))

    def unjudged(self, trace: Trace) -> str | None:
        """Say that losses, or the loss of a constant guess, are missing."""
        if not curve(trace):
            return needs_losses(self.condition)
        if guess_loss(trace) is None:
            return say(
                "{missing}; {hint}.",
                missing=say("underfitting: needs the loss of a constant guess"),
                hint="describe(chance_loss=...)",
            )
        return None

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding, or none."""
        run, points = course(trace), curve(trace)
        if run is None or not run.guess or len(points) < 10 or run.broke is not None:
            return ()
        if points[-1][0] - points[0][0] < self.min_steps or _score(trace) >= self.max_score:
            return ()
        rest = _rest(trace, run)
        rises = rest.change > max(3 * rest.error, 0.02)
        if rises or made_targets(trace):
            return ()
        if rest.left > _ABOVE_CHANCE:
            return ()
        above = rest.left >= self.max_remaining
        if rest.floor is not None:
            above = above or rest.left >= rest.floor + self.margin
        reasons, numbers = _reasons(trace)
        if reasons:
            above = above or rest.left >= max(self.max_held_back, (rest.floor or 0.0) + 0.2)
        nothing = rest.left >= _NOTHING_LEARNED and not rest.falling and not reasons
        return (self._finding(rest, reasons, numbers),) if above and not nothing else ()

    def _finding(self, rest: _Rest, reasons: list[Said], numbers: dict[str, float]) -> Finding:
        noisy = rest.floor is not None and rest.left < rest.floor + self.margin
        severity: Severity = "severe" if rest.left >= _NOTHING_LEARNED else "moderate"
        advice = ""
        if reasons:
            why = say("held back by {reasons}.", reasons=enumerated(reasons))
        elif rest.falling:
            severity, why = "mild", say("it still falls, so the run is too short or too slow.")
            advice = say("Train for more steps.")
        elif noisy:
            severity = "mild"
            why = say("near rows carry different targets, so little more can be learned from them.")
        else:
            why = say(
                "the network is too weak or too strongly held back, or its inputs hold no more "
                "about the target."
            )
            advice = say("Give the network more units or layers, or take regularisation away.")
        stands = {"left": f"{rest.left:.0%}", "why": why}
        return Finding(
            condition=self.condition,
            severity=severity,
            confidence=0.85 if rest.floor is not None or reasons else 0.6,
            layers=(),
            since=None,
            evidence={
                "remaining": rest.left,
                "trend": rest.change,
                "trend_error": rest.error,
                **({} if rest.floor is None else {"attainable": rest.floor}),
                **numbers,
            },
            explanation=(
                say("The loss stands at {left} of what a constant guess costs: {why}", **stands)
                if rest.falling
                else say(
                    "The loss has come to rest at {left} of what a constant guess costs: {why}",
                    **stands,
                )
            ),
            advice=advice,
            phrase=say("{left} of a constant guess's loss is left", left=stands["left"]),
        )


def _rest(trace: Trace, run: Course) -> _Rest:
    """Measure where the run stands; a loss falls if it goes on falling beyond its noise."""
    change, error = run.trend()
    left = run.left
    floor = None if _reconstructs(trace) else attainable(trace)
    whole, _ = run.trend(of=1.0)
    much = min(0.1 * (left - (floor or 0.0)), -_STEADY_SHARE * whole)
    falling = -change > max(3 * error, 0.03, much)
    return _Rest(left, floor, change, error, falling)


def _reconstructs(trace: Trace) -> bool:
    """Whether the target is several numbers a row, as in an autoencoder."""
    facts = trace.facts
    wide = math.prod(facts.output_shape[1:]) > 4
    return not facts.classes and "cross_entropy" not in facts.loss and wide


def _score(trace: Trace) -> float:
    """Share of the rows that is classified rightly at the end; 0 where it is not known."""
    if not trace.facts.classes or not trace.facts.higher_is_better:
        return 0.0
    ends = [
        median([v for _, v in points[-3:]])
        for phase in ("train", "validation")
        if (points := curve(trace, phase, Quantity.METRIC))
    ]
    return max(ends, default=0.0)


def _width(layer: LayerFact) -> int:
    """Numbers that a layer hands on: facts count a row a gate, and a row a word of a vocabulary."""
    gates = {"LSTM": 4, "LSTMCell": 4, "GRU": 3, "GRUCell": 3}.get(layer.kind, 1)
    if layer.kind.startswith("Embedding"):
        return layer.parameters // max(1, layer.units)
    return layer.units // gates


def _bottleneck(facts: Facts) -> LayerFact | None:
    """Return the narrowest layer before the output, if it is far too narrow for that output.

    One unit is, before several outputs; and up to three are for classes, one for each three. For
    targets of many numbers a narrow code is meant, but not if every layer is as narrow.
    """
    hidden = [layer for layer in facts.layers if layer.role != "output" and _width(layer) > 0]
    if not hidden:
        return None
    outputs = facts.classes or (facts.output_shape[-1] if len(facts.output_shape) > 1 else 1)
    narrow, wide = min(hidden, key=_width), max(hidden, key=_width)
    few = max(1, min(_FEW_UNITS, facts.classes // _CLASSES_A_UNIT))
    everywhere = _width(wide) <= outputs // _OUTPUTS_A_UNIT
    return narrow if _width(narrow) <= few < outputs or everywhere else None


def _reasons(trace: Trace) -> tuple[list[Said], dict[str, float]]:
    """Return what holds the network back by the facts, in words and in numbers."""
    facts = trace.facts
    reasons: list[Said] = []
    numbers: dict[str, float] = {}
    narrow = _bottleneck(facts)
    if narrow is not None:
        units = _width(narrow)
        reasons.append(
            say_many(
                "a layer of {number} unit ({layer})",
                "a layer of {number} units ({layer})",
                units,
                layer=narrow.name,
            )
        )
        numbers["narrowest"] = float(units)
    if facts.dropout > _STRONG_DROPOUT:
        reasons.append(say("dropout of {share}", share=f"{facts.dropout:g}"))
        numbers["dropout"] = facts.dropout
    sizes = trace.series(Quantity.WEIGHT_NORM)
    shrunk = sizes[-1][1] / sizes[0][1] if len(sizes) > 1 and sizes[0][1] > 0 else 1.0
    if shrunk < _SHRUNK:
        name = (
            say("weight decay of {decay}", decay=f"{facts.weight_decay:g}")
            if facts.weight_decay
            else say("a penalty")
        )
        reasons.append(
            say(
                "{what}, which shrank the weights to {share} of their size",
                what=name,
                share=f"{shrunk:.0%}",
            )
        )
        numbers |= {"weight_decay": facts.weight_decay, "shrunk": shrunk}
    return reasons, numbers
