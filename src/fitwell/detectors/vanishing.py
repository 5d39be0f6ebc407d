"""Gradients that vanish on the way to the input, or back through time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, final

from fitwell.detectors.curves import has_learned, remaining_loss
from fitwell.detectors.depth import EARLY, Line, in_time, line, profile, through_depth
from fitwell.detectors.layers import inputs_are_blank, sampled_steps
from fitwell.detectors.movement import furthest
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import Finding, Trace
from fitwell.words import Said, say


@final
@dataclass(frozen=True, slots=True)
class VanishingGradients(Detector):
    """Report gradients that fall off toward the input, or are nothing anywhere, while it matters.

    Definition: let the sensitivity of a layer be |gradient| · |weights| / loss of a constant
    guess: the relative change of the loss for a relative change of the layer's weights. It has no
    unit, so layers, networks and losses compare. Gradients vanish if one of these holds:

    - *over depth*: the sensitivity falls geometrically from the last layer to the first. A
      straight line is fitted to its logarithm over the order of the layers; it falls by
      ``min_fall`` decades or more, by half of that after two standard errors, and the first
      layer's sensitivity is below ``max_first``;
    - *everywhere*: that of most layers is below ``max_everywhere``, from the first step on: a ratio
      of layers cannot see a collapse that hits all of them, as by tiny initial weights. What is
      gone later was put out by training, by dead units or by decay, and is not named here;
    - *over time*: the gradient that a recurrent layer gets at each time step falls likewise, by
      ``min_fall_in_time`` decades from the last time step to the first, and by ``min_rate``
      decades a time step.

    It must matter: the training loss must still be above half of a constant guess's at the end. A
    network that learns does so with whatever gradients it has, and a network that has converged
    has small gradients for a good reason. It must hold at the start or in the last third of the
    recorded steps; if it held at the start alone and the loss has begun to fall since, it is a mild
    episode with an end, and if it came later, it is mild as well: then saturated units or decay
    have brought it about. And the run must have tried: if no layer could have moved by
    ``min_travelled`` of its weights even if all steps had gone one way, the steps are too small for
    any network, which is for another detector to say (a collapse everywhere is named all the
    same: there the gradient is what makes the steps small).

    With one step only (a preflight), nothing is known of learning: ``min_fall_unproven`` counts
    instead, and a fall over time is not named, since LSTMs begin with one and learn.

    Embeddings and frozen layers are left out of the fit, and so are layers that a residual
    connection leads around as long as their gradient is exactly zero: a branch that is started at
    zero opens by itself.

    Evidence: ``fall`` in decades and its standard error ``error``, ``ratio`` of the first
    sensitivity to the last, ``first`` and ``last`` sensitivity, ``layers`` in the fit,
    ``remaining``, the share of the loss that is left; for a fall over time ``time_fall``,
    ``time_error`` and ``time_steps``. The layers named are those that get less than the middle of
    the fall lets through: where the gradient has died, and not where it still comes from.

    Args:
        min_fall: Least fall in decades. AutoTrainer takes a ratio of 1e-3 as well; sound networks
            of up to 20 layers stayed below 2 in ours, 6 sigmoid layers fall by 4.
        min_fall_unproven: The same where nothing is known of learning: 8 ReLU layers as PyTorch
            makes them fall by 3 and some of them learn.
        max_first: Largest sensitivity of the first layer that can count as vanished; most sound
            networks began above 0.01, 8 ReLU layers as PyTorch makes them at 8e-4: the fall and
            the loss must tell those apart.
        max_everywhere: Largest sensitivity of most layers that counts as a collapse.
        min_fall_in_time: Least fall over time in decades.
        min_rate: Least fall a time step in decades. LSTM, GRU and plain recurrences as PyTorch
            makes them fall by 0.19 to 0.27, whatever the number of time steps, and learn;
            orthogonal recurrent weights with a gain of 0.1 fall by 1.
        min_travelled: Least possible way of the layer that moved most, in multiples of its weights.
        min_layers: Least number of layers for a fall to be judged; at least 3.

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Hochreiter, "The vanishing gradient problem during learning recurrent neural nets", 1998.
        Glorot and Bengio, AISTATS 2010. Pascanu et al., ICML 2013. Zhang et al., "AutoTrainer",
        ICSE 2021.
    """

    condition: ClassVar[str] = "vanishing_gradients"
    min_fall: float = 3.0
    min_fall_unproven: float = 4.0
    max_first: float = 1e-3
    max_everywhere: float = 1e-6
    min_fall_in_time: float = 3.0
    min_rate: float = 0.45
    min_travelled: float = 0.02
    min_layers: int = 4

    def __post_init__(self) -> None:
        for name in ("min_fall", "min_fall_unproven", "max_first", "min_fall_in_time", "min_rate"):
            in_range(name, getattr(self, name), 0, math.inf, open_low=True)
        in_range("max_everywhere", self.max_everywhere, 0, math.inf)
        in_range("min_travelled", self.min_travelled, 0, math.inf)
        in_range("min_layers", self.min_layers, 3, math.inf)

    def unjudged(self, trace: Trace) -> str | None:
        """Say that no gradient was recorded."""
        if sampled_steps(trace):
            return None
        return say("vanishing_gradients: no gradient was recorded.")

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding, or none."""
        if has_learned(trace) or inputs_are_blank(trace):
            return ()
        steps = sampled_steps(trace)
        late = steps[-max(1, len(steps) // 3) :]
        found = through_depth(trace)
        # A gradient that is gone later on was put out by training: by dead units, or by decay.
        born = self._collapsed(list(profile(found, steps[:1]).values()))
        shown = [
            (window, values)
            for window in (steps[:EARLY], late)
            if self._vanished(values := profile(found, window), trace, born=born)
        ]
        if not shown:
            return self._through_time(trace, steps)
        window, values = shown[0]
        until = self._end(trace, found, late) if len(shown) == 1 and window is not late else None
        finding = self._over_depth(trace, values, self._begin(found, window), until)
        passing = until is not None or window is late
        return (replace(finding, severity="mild") if passing else finding,)

    def _vanished(self, values: Mapping[str, float], trace: Trace, *, born: bool) -> bool:
        numbers = list(values.values())
        if born and self._collapsed(numbers):
            return True
        if len(numbers) < self.min_layers or numbers[0] > self.max_first:
            return False
        proven = remaining_loss(trace) is not None
        least = self.min_fall if proven else self.min_fall_unproven
        fit = line(numbers)
        return fit.change >= least and fit.certain >= least / 2 and self._tried(trace)

    def _collapsed(self, numbers: Sequence[float]) -> bool:
        """Whether next to nothing reaches most layers; of few, all but the last."""
        gone = [value <= self.max_everywhere for value in numbers]
        if len(numbers) < self.min_layers:
            return bool(gone) and (all(gone[:-1]) if len(gone) > 1 else gone[0])
        return sum(gone) > len(gone) / 2

    def _tried(self, trace: Trace) -> bool:
        way = furthest(trace)
        return way is None or remaining_loss(trace) is None or way >= self.min_travelled

    def _begin(self, found: Mapping[str, Mapping[int, float]], window: Sequence[int]) -> int:
        """First step of a window that shows it by itself."""
        for step in window:
            values = list(profile(found, [step]).values())
            if self._collapsed(values) or line(values).change >= self.min_fall:
                return step
        return window[0]

    def _end(
        self, trace: Trace, found: Mapping[str, Mapping[int, float]], late: Sequence[int]
    ) -> int | None:
        """First late step, if by then the gradient is back and the loss has begun to fall."""
        left = remaining_loss(trace)
        back = line(list(profile(found, late).values())).change < self.min_fall / 2
        return late[0] if back and left is not None and left < 0.9 else None

    def _over_depth(
        self, trace: Trace, values: Mapping[str, float], since: int, until: int | None
    ) -> Finding:
        names, numbers = list(values), list(values.values())
        first, last = numbers[0], numbers[-1]
        ratio = first / last if last > 0 else math.nan
        fit = line(numbers)
        evidence = {
            "fall": fit.change,
            "error": fit.error,
            "ratio": ratio,
            "first": first,
            "last": last,
            "layers": float(len(numbers)),
        }
        middle_of_fall = max(numbers) * 10 ** (-max(0.0, fit.change) / 2)
        weak = [
            n for n, v in values.items() if v < middle_of_fall or v <= self.max_everywhere
        ] or names[:1]
        of = {"ratio": f"{ratio:.0e}", "first": names[0], "last": names[-1]}
        said = say(
            "The gradient that reaches {first} is {ratio} of the one at {last}, measured against "
            "their weights, over {layers} layers",
            **of,
            layers=len(numbers),
        )
        phrase = say("the gradient at {first} is {ratio} of that at {last}", **of)
        if not fit.change >= self.min_fall or not ratio > 0:
            few = {"weak": len(weak), "layers": len(numbers)}
            said = say("Next to no gradient reaches {weak} of {layers} layers", **few)
            phrase = say("next to no gradient reaches {weak} of {layers} layers", **few)
        return Finding(
            condition=self.condition,
            severity=("severe" if fit.change >= 5 or first <= self.max_everywhere else "moderate"),
            confidence=_confidence(trace, fit.change),
            layers=tuple(weak),
            since=since or None,
            evidence=_with_rest(trace, evidence),
            explanation=_with_fate(said, trace),
            until=until,
            phrase=phrase,
        )

    def _through_time(self, trace: Trace, steps: Sequence[int]) -> Iterable[Finding]:
        late = steps[-max(1, len(steps) // 3) :]
        windows = [in_time(trace, window, -1) for window in (steps[:EARLY], late)]
        worst = windows[-1]
        if (
            worst is None
            or remaining_loss(trace) is None
            or not self._tried(trace)
            or not all(map(self._fades, windows))
        ):
            return ()
        name, fit, count = worst
        ratio = 10**fit.change
        evidence = {
            "time_fall": -fit.change,
            "time_error": fit.error,
            "time_steps": float(count),
        }
        return (
            Finding(
                condition=self.condition,
                severity="severe" if -fit.change >= 8 else "moderate",
                confidence=_confidence(trace, -fit.change) - 0.1,
                layers=(name,),
                since=None,
                evidence=_with_rest(trace, evidence),
                explanation=_with_fate(
                    say(
                        "Of the gradient that {layer} gets at its last time step, {ratio} reaches "
                        "the first of {steps}",
                        layer=name,
                        ratio=f"{ratio:.0e}",
                        steps=count,
                    ),
                    trace,
                ),
                phrase=say(
                    "{ratio} of the gradient reaches the first time step of {layer}",
                    ratio=f"{ratio:.0e}",
                    layer=name,
                ),
            ),
        )

    def _fades(self, found: tuple[str, Line, int] | None) -> bool:
        if found is None:
            return False
        _, fit, count = found
        least = max(self.min_fall_in_time, self.min_rate * (count - 1))
        return fit.change <= -least and fit.certain <= -least / 2


def _confidence(trace: Trace, fall: float) -> float:
    doubt = 0.1 if remaining_loss(trace) is None else 0.0
    return min(0.97, 0.7 + 0.03 * max(0.0, fall)) - doubt


def _with_rest(trace: Trace, evidence: dict[str, float]) -> dict[str, float]:
    left = remaining_loss(trace)
    return evidence if left is None else {**evidence, "remaining": left}


def _with_fate(what: Said, trace: Trace) -> Said:
    left = remaining_loss(trace)
    if left is None:
        return say("{what}: the first layers will hardly learn.", what=what)
    share = f"{left:.0%}"
    return say("{what}, and {left} of a constant guess's loss is left.", what=what, left=share)
