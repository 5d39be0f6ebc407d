"""Gradients that explode: through depth, through time, or in the course of training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

from fitwell.detectors.curves import curve, reference_loss, remaining_loss
from fitwell.detectors.depth import EARLY, LOOKED_UP, in_time, profile
from fitwell.detectors.layers import middle, sampled_steps, sensitivities
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import Finding, Quantity, Severity, Trace
from fitwell.words import say


class _Seen(NamedTuple):
    """One way in which a gradient was found to explode."""

    severity: Severity
    layers: tuple[str, ...]
    since: int
    until: int | None
    evidence: dict[str, float]
    said: str
    phrase: str


@final
@dataclass(frozen=True, slots=True)
class ExplodingGradients(Detector):
    """Report gradients that are far too large for the weights they are to change.

    Definition: the sensitivity of a layer is |gradient| · |weights| / loss of a constant guess
    (see :class:`VanishingGradients`). Gradients explode if one of these holds:

    - *size*: some layer's sensitivity is above ``max_sensitivity`` at step 0, in the median of the
      first 21 recorded steps, or in the median of the last third. The scale is absolute, so that a
      single recurrent layer, which has no other to compare with, is judged too;
    - *over time*: the gradient that a recurrent layer gets at each time step grows geometrically
      on its way back, by ``max_growth_in_time`` decades or more and by half of that after two
      standard errors, at the start. In a sound recurrence it falls or stays;
    - *run away*: the whole gradient comes to exceed its own first size by ``max_growth`` while the
      loss rises above twice its reference or stops being finite.

    A network whose loss falls well all the same is not ill: a recurrent one often passes through
    large gradients on its way. The first rule leaves out embeddings, of which a batch uses a few
    rows only, and layers that a normalisation follows: their gradients are large by nature in deep
    networks (Yang et al.), and tune themselves, since a large step makes the weights grow and the
    next gradients small (Arora et al.). Steps that a ``GradScaler`` skipped are not recorded, and
    so are no explosion.

    A single spike is an episode: where the gradient jumped by ``max_growth`` over its first and its
    median size, and both it and the loss came back, the finding is mild and has an end.

    Evidence: ``sensitivity`` of the worst layer, ``largest`` and ``median`` norm of the whole
    gradient, ``growth``, ``time_growth`` in decades with ``time_error`` and ``time_steps``, and
    ``remaining``, the share of the loss that is left; each where it applies. The layers named are
    those within a factor of ten of the worst; for growth over time the recurrent layer alone.

    Args:
        max_sensitivity: Largest sound sensitivity. Sound networks of ours, 1 to 20 layers, began
            below 7, MLPs too wide for their table below 26; recurrent ones with a gain of 1.5 to 4
            between 30 and 7e8.
        max_growth_in_time: Most decades of growth on the way back through time. Sound recurrences
            of ours fell at the start (LSTM, GRU and plain ones as PyTorch makes them by 0.2 a time
            step, orthogonal ones by 0.03) and came to 0.3 at most later; a gain of 1.5 over 8 steps
            gives 0.6 and learns, over 64 steps 1.8, a gain of 4 over 8 steps 2.0.
        max_growth: Largest sound growth of the gradient over its own first size.
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
    max_growth_in_time: float = 1.0
    max_growth: float = 1e3
    max_remaining: float = 0.3

    def __post_init__(self) -> None:
        in_range("max_sensitivity", self.max_sensitivity, 0, math.inf, open_low=True)
        in_range("max_growth_in_time", self.max_growth_in_time, 0, math.inf, open_low=True)
        in_range("max_growth", self.max_growth, 1, math.inf)
        in_range("max_remaining", self.max_remaining, 0, math.inf)

    def unjudged(self, trace: Trace) -> str | None:
        """Say that no gradient was recorded."""
        if sampled_steps(trace):
            return None
        return say("exploding_gradients: no gradient was recorded.")

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding, or none."""
        steps = sampled_steps(trace)
        left = remaining_loss(trace)
        if not steps:
            return ()
        if left is not None and left < self.max_remaining:
            seen = self._spike(trace)
        else:
            seen = self._in_time(trace, steps) or self._size(trace, steps) or self._runaway(trace)
        return () if seen is None else (_finding(trace, seen),)

    def _size(self, trace: Trace, steps: Sequence[int]) -> _Seen | None:
        facts = trace.facts.layers
        apart = {f.name for f in facts if f.normalized or f.kind in LOOKED_UP}
        found = {n: v for n, v in sensitivities(trace).items() if n not in apart}
        best: tuple[float, dict[str, float], int] | None = None
        for window in (steps[:1], steps[:EARLY], steps[-max(1, len(steps) // 3) :]):
            values = profile(found, window)
            top = max(values.values(), default=0.0)
            if values and (best is None or top > 3 * best[0]):
                best = (top, values, self._begin(found, window))
        if best is None or best[0] <= self.max_sensitivity:
            return None
        top, values, since = best
        layers = tuple(n for n, v in values.items() if v > max(self.max_sensitivity, top / 10))
        worst = max(values, key=values.__getitem__)
        return _Seen(
            "severe" if top > 1e3 else "moderate",
            layers,
            since,
            None,
            {"sensitivity": top},
            say(
                "The gradient of {layer} is so large that a change of its weights by one "
                "thousandth could change the loss by {times} times that of a constant guess",
                layer=worst,
                times=f"{top / 1e3:.2g}",
            ),
            say("exploding gradients in {layer}", layer=worst),
        )

    def _begin(self, found: Mapping[str, Mapping[int, float]], window: Sequence[int]) -> int:
        """First step of a window that shows it by itself."""
        for step in window:
            if max(profile(found, [step]).values(), default=0.0) > self.max_sensitivity:
                return step
        return window[0]

    def _in_time(self, trace: Trace, steps: Sequence[int]) -> _Seen | None:
        if remaining_loss(trace) is None:
            return None
        # The first updates may saturate the units, and so hide what was there before them.
        found = [in_time(trace, window, 1) for window in (steps[:1], steps[:EARLY])]
        worst = max((one for one in found if one), key=lambda one: one[1].change, default=None)
        if worst is None:
            return None
        name, fit, count = worst
        if fit.change < self.max_growth_in_time or fit.certain < self.max_growth_in_time / 2:
            return None
        factor = 10 ** (fit.change / (count - 1))
        return _Seen(
            "severe" if fit.change >= 3 else "moderate",
            (name,),
            0,
            None,
            {
                "time_growth": fit.change,
                "time_error": fit.error,
                "time_steps": float(count),
            },
            say(
                "The gradient of {layer} grows {factor} times at every step back in time, {times} "
                "times over {steps} steps",
                layer=name,
                factor=f"{factor:.3g}",
                times=f"{10**fit.change:.2g}",
                steps=count,
            ),
            say(
                "the gradient grows ×{factor} a time step through {layer}",
                factor=f"{factor:.3g}",
                layer=name,
            ),
        )

    def _runaway(self, trace: Trace) -> _Seen | None:
        """Gradient and loss have both run away."""
        reference = reference_loss(trace)
        norms = _norms(trace)
        losses = curve(trace)
        if len(norms) < 2 or reference is None or not losses:
            return None
        broken = any(
            not math.isfinite(row.value)
            for row in trace
            if row.quantity == Quantity.LOSS and row.phase == "train"
        )
        if max(value for _, value in losses) < 2 * reference and not broken:
            return None
        usual = norms[0][1]
        since = next((s for s, v in norms if usual > 0 and v > self.max_growth * usual), None)
        if since is None:
            return None
        largest = max(v for _, v in norms)
        return _Seen(
            "severe",
            (),
            since,
            None,
            {},
            say(
                "The gradient grew to {largest}, {times} times its first size",
                largest=f"{largest:.2g}",
                times=f"{largest / usual:.2g}",
            ),
            say("the gradient grows ×{factor}", factor=f"{largest / usual:.0e}"),
        )

    def _spike(self, trace: Trace) -> _Seen | None:
        """One stretch of far too large gradients that both gradient and loss came back from."""
        norms = _norms(trace)
        # Gradients that fall to nothing, as at an exact solution, have jumped nowhere.
        usual = max(middle([v for _, v in norms]), norms[0][1]) if norms else 0.0
        high = [s for s, v in norms if usual > 0 and v > self.max_growth * usual]
        if not high or len(norms) < 10 or high[-1] >= norms[-3][0]:
            return None
        until = next(s for s, _ in norms if s > high[-1])
        largest = max(v for _, v in norms)
        return _Seen(
            "mild",
            (),
            high[0],
            until,
            {"spike": largest / usual},
            say(
                "The gradient jumped to {times} times its usual size and came back",
                times=f"{largest / usual:.2g}",
            ),
            say("a spike of the gradient at step {step}", step=high[0]),
        )


def _norms(trace: Trace) -> list[tuple[int, float]]:
    return [(s, v) for s, v in trace.series(Quantity.GRADIENT_NORM) if math.isfinite(v)]


def _finding(trace: Trace, seen: _Seen) -> Finding:
    norms = [v for _, v in _norms(trace)]
    largest = max(norms, default=math.inf)
    first = norms[0] if norms else math.nan
    evidence = {
        "largest": largest,
        "median": middle(norms),
        "growth": largest / first if first else math.inf,
        **seen.evidence,
    }
    left = remaining_loss(trace)
    if left is not None:
        evidence["remaining"] = left
    fate = say("a plain step will overshoot.")
    if left is not None and left < 2:
        fate = say("{left} of a constant guess's loss is left.", left=f"{left:.0%}")
    elif left is not None:
        fate = say("the loss ends at {times} times that of a constant guess.", times=f"{left:.2g}")
    return Finding(
        condition=ExplodingGradients.condition,
        severity=seen.severity,
        confidence=0.75 if left is None else 0.9,
        layers=seen.layers,
        since=seen.since or None,
        evidence=evidence,
        explanation=say("{what}: {fate}", what=seen.said, fate=fate),
        until=seen.until,
        phrase=seen.phrase,
    )
