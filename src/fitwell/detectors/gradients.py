"""Gradients that vanish on the way to the input, and gradients that explode."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from fitwell.detectors.curves import (
    curve,
    has_learned,
    reference_loss,
    remaining_loss,
    slope,
)
from fitwell.detectors.layers import (
    decades,
    middle,
    sampled_steps,
    sensitivities,
)
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import Finding, Quantity, Trace

_FLOOR = 1e-15
"""Sensitivities below this are rounding: they count as this in fits over layers."""

_EARLY = 21
"""Steps that count as the start: those that a watch always samples."""


def _needs_gradients(condition: str, trace: Trace) -> str | None:
    if sampled_steps(trace):
        return None
    return f"{condition}: no gradient was recorded."


@final
@dataclass(frozen=True, slots=True)
class VanishingGradients(Detector):
    """Report gradients that fall off toward the input, or are nothing anywhere, while it matters.

    Definition: let the sensitivity of a layer be |gradient| · |weights| / loss of a constant
    guess: the relative change of the loss for a relative change of the layer's weights. It has no
    unit, so layers, networks and losses compare. Gradients vanish if either

    - the sensitivity, fitted over the order of the layers, falls from the last to the first by
      ``min_fall`` decades or more, and the first layer's is below ``max_first``; or
    - that of most layers is below ``max_everywhere``: a ratio of layers cannot see a collapse
      that hits all of them, as by tiny initial weights.

    It must hold at the start or in the last third of the recorded steps, and the training loss
    must still be above half of a constant guess's at the end: a network that learns does so with
    whatever gradients it has. With one step only (a preflight), nothing is known of learning, and
    ``min_fall_unproven`` counts instead. Frozen layers are left out.

    Evidence: ``fall`` in decades, ``ratio`` of the first sensitivity to the last, ``first`` and
    ``last`` sensitivity, ``layers``, and ``remaining``, the share of the loss that is left.

    Args:
        min_fall: Least fall in decades. AutoTrainer takes 3 as well; sound networks of up to 20
            layers stayed below 2 in ours.
        min_fall_unproven: The same where nothing is known of learning.
        max_first: Largest sensitivity of the first layer that can count as vanished; most sound
            networks began above 0.01, 8 ReLU layers as PyTorch makes them at 8e-4: the fall and
            the loss must tell those apart.
        max_everywhere: Largest sensitivity of most layers that counts as a collapse.
        min_layers: Least number of layers for a fall to be judged; at least 3.

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Hochreiter, "The vanishing gradient problem during learning recurrent neural nets", 1998.
        Glorot and Bengio, AISTATS 2010. Zhang et al., "AutoTrainer", ICSE 2021.
    """

    condition: ClassVar[str] = "vanishing_gradients"
    min_fall: float = 3.0
    min_fall_unproven: float = 4.0
    max_first: float = 1e-3
    max_everywhere: float = 1e-6
    min_layers: int = 4

    def __post_init__(self) -> None:
        in_range("min_fall", self.min_fall, 0, math.inf, open_low=True)
        in_range("min_fall_unproven", self.min_fall_unproven, 0, math.inf, open_low=True)
        in_range("max_first", self.max_first, 0, math.inf, open_low=True)
        in_range("max_everywhere", self.max_everywhere, 0, math.inf)
        in_range("min_layers", self.min_layers, 3, math.inf)

    def unjudged(self, trace: Trace) -> str | None:
        """Say that no gradient was recorded."""
        return _needs_gradients(self.condition, trace)

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding, or none."""
        if has_learned(trace):
            return ()
        steps = sampled_steps(trace)
        late = steps[-max(1, len(steps) // 3) :]
        found = sensitivities(trace)
        for window in (steps[:_EARLY], late):
            values = _profile(found, window)
            if self._vanished(values, proven=remaining_loss(trace) is not None):
                return (self._finding(trace, values, since=self._begin(found, window)),)
        return ()

    def _begin(self, found: Mapping[str, Mapping[int, float]], window: Sequence[int]) -> int:
        """First step of a window that shows it by itself."""
        shown = (s for s in window if self._vanished(_profile(found, [s]), proven=True))
        return next(shown, window[0])

    def _vanished(self, values: Mapping[str, float], *, proven: bool) -> bool:
        if not values:
            return False
        profile = list(values.values())
        collapsed = sum(v <= self.max_everywhere for v in profile) > len(profile) / 2
        if len(profile) < self.min_layers:
            return collapsed and all(v <= self.max_everywhere for v in profile[:-1])
        least = self.min_fall if proven else self.min_fall_unproven
        return collapsed or (_fall(profile) >= least and profile[0] <= self.max_first)

    def _finding(self, trace: Trace, values: Mapping[str, float], *, since: int) -> Finding:
        names, profile = list(values), list(values.values())
        first, last = profile[0], profile[-1]
        ratio = first / last if last > 0 else math.nan
        fall = _fall(profile)
        remaining = remaining_loss(trace)
        weak = [n for n, v in values.items() if v <= max(1e-3 * max(profile), self.max_everywhere)]
        evidence = {
            "fall": fall,
            "ratio": ratio,
            "first": first,
            "last": last,
            "layers": float(len(profile)),
        }
        said = (
            f"The gradient that reaches {names[0]} is {ratio:.0e} of the one at {names[-1]}, "
            f"measured against their weights, over {len(profile)} layers"
        )
        if not fall >= self.min_fall or not ratio > 0:
            said = f"Next to no gradient reaches {len(weak)} of {len(profile)} layers"
        if remaining is None:
            fate = "the first layers will hardly learn."
        else:
            evidence["remaining"] = remaining
            fate = f"and {remaining:.0%} of a constant guess's loss is left."
        return Finding(
            condition=self.condition,
            severity="severe" if fall >= 5 or first <= self.max_everywhere else "moderate",
            confidence=min(0.97, 0.7 + 0.03 * max(0.0, fall)) - (0.1 if remaining is None else 0),
            layers=tuple(weak or names[:1]),
            since=since or None,
            evidence=evidence,
            explanation=f"{said}: {fate}" if remaining is None else f"{said}, {fate}",
        )


@final
@dataclass(frozen=True, slots=True)
class ExplodingGradients(Detector):
    """Report gradients that are far too large for the weights they are to change.

    Definition: the sensitivity of a layer is |gradient| · |weights| / loss of a constant guess
    (see :class:`VanishingGradients`). Gradients explode if some layer's is above
    ``max_sensitivity`` at step 0, in the median of the first 21 recorded steps, or in the median
    of the last third; or if the whole gradient comes to exceed its own earlier median by
    ``max_growth`` while the loss rises above twice its reference or stops being finite. The scale
    is absolute, so that a single recurrent layer, which has no other to compare with, is judged
    too.

    A network whose loss falls well all the same is not ill: a recurrent one often passes through
    large gradients on its way. The first rule leaves out layers that a normalisation follows: their
    gradients are large by nature in deep networks (Yang et al.), and tune themselves, since a
    large step makes the weights grow and the next gradients small (Arora et al.).

    Evidence: ``sensitivity`` of the worst layer, ``largest`` and ``median`` norm of the whole
    gradient, ``growth``, and ``remaining``, the share of the loss that is left.

    Args:
        max_sensitivity: Largest sound sensitivity. Sound networks of ours, 1 to 20 layers, began
            below 7, MLPs too wide for their table below 26; recurrent ones with a gain of 1.5 to 4
            between 30 and 7e8. So a mild explosion can fall below it: with a gain of 1.5 over 64
            steps, one seed in six did at the start.
        max_growth: Largest sound growth of the gradient over its own median.
        max_remaining: Share of a constant guess's loss below which the run counts as sound.

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Pascanu et al., "On the difficulty of training recurrent neural networks", ICML 2013.
        Yang et al., "A mean field theory of batch normalization", ICLR 2019.
        Arora et al., "Theoretical analysis of auto rate-tuning by batch normalization", ICLR 2019.
    """

    condition: ClassVar[str] = "exploding_gradients"
    max_sensitivity: float = 50.0
    max_growth: float = 1e3
    max_remaining: float = 0.3

    def __post_init__(self) -> None:
        in_range("max_sensitivity", self.max_sensitivity, 0, math.inf, open_low=True)
        in_range("max_growth", self.max_growth, 1, math.inf)
        in_range("max_remaining", self.max_remaining, 0, math.inf)

    def unjudged(self, trace: Trace) -> str | None:
        """Say that no gradient was recorded."""
        return _needs_gradients(self.condition, trace)

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding, or none."""
        steps = sampled_steps(trace)
        remaining = remaining_loss(trace)
        if not steps or (remaining is not None and remaining < self.max_remaining):
            return ()
        late = steps[-max(1, len(steps) // 3) :]
        normalized = {layer.name for layer in trace.facts.layers if layer.normalized}
        found = {n: v for n, v in sensitivities(trace).items() if n not in normalized}
        best: tuple[float, str, int] | None = None
        for window in (steps[:1], steps[:_EARLY], late):
            values = _profile(found, window)
            if values:
                name = max(values, key=values.__getitem__)
                if best is None or values[name] > 3 * best[0]:
                    best = (values[name], name, window[0])
        if best is not None and best[0] > self.max_sensitivity:
            return (self._finding(trace, best, remaining),)
        grown = self._growth(trace)
        return () if grown is None else (self._finding(trace, (math.nan, "", grown), remaining),)

    def _growth(self, trace: Trace) -> int | None:
        """First step at which gradient and loss have both run away, or None."""
        reference = reference_loss(trace)
        norms = [(s, v) for s, v in trace.series(Quantity.GRADIENT_NORM) if math.isfinite(v)]
        losses = curve(trace)
        if len(norms) < 2 or reference is None or not losses:
            return None
        worst = max(value for _, value in losses)
        broken = any(
            not math.isfinite(row.value)
            for row in trace
            if row.quantity == Quantity.LOSS and row.phase == "train"
        )
        if worst < 2 * reference and not broken:
            return None
        usual = norms[0][1]
        return next((s for s, v in norms if usual > 0 and v > self.max_growth * usual), None)

    def _finding(
        self, trace: Trace, worst: tuple[float, str, int], remaining: float | None
    ) -> Finding:
        sensitivity_, name, since = worst
        norms = [v for _, v in trace.series(Quantity.GRADIENT_NORM) if math.isfinite(v)]
        usual, largest = middle(norms), max(norms, default=math.inf)
        evidence = {"largest": largest, "median": usual, "growth": largest / (norms[0] or math.nan)}
        if remaining is not None:
            evidence["remaining"] = remaining
        if name:
            evidence["sensitivity"] = sensitivity_
            said = (
                f"The gradient of {name} is so large that a change of its weights by one "
                f"thousandth could change the loss by {sensitivity_ / 1e3:.2g} times that of a "
                "constant guess"
            )
        else:
            said = (
                f"The gradient grew to {largest:.2g}, {evidence['growth']:.2g} times its first size"
            )
        fate = (
            "a plain step will overshoot."
            if remaining is None
            else f"{remaining:.0%} of a constant guess's loss is left."
        )
        return Finding(
            condition=self.condition,
            severity="severe" if not name or sensitivity_ > 1e3 else "moderate",
            confidence=0.75 if remaining is None else 0.9,
            layers=(name,) if name else (),
            since=since or None,
            evidence=evidence,
            explanation=f"{said}: {fate}",
        )


def _profile(found: Mapping[str, Mapping[int, float]], steps: Sequence[int]) -> dict[str, float]:
    """Return layer -> median sensitivity over some steps, in the order of execution."""
    medians = {
        name: middle([values[step] for step in steps if step in values])
        for name, values in found.items()
    }
    return {name: value for name, value in medians.items() if math.isfinite(value)}


def _fall(profile: Sequence[float]) -> float:
    """Decades that the sensitivity falls from the last layer to the first, by a straight fit."""
    return slope([decades(max(value, _FLOOR)) for value in profile])
