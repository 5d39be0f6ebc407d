"""Parameters that nothing trains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from fitwell.detectors.layers import sampled_steps
from fitwell.detectors.outcome import is_tried, went_well
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import Finding, Quantity, Severity, Trace
from fitwell.words import Said, say, say_many, together


@final
@dataclass(frozen=True, slots=True)
class UntrainedParameters(Detector):
    """Report parameters that are meant to be trained, and are not.

    Definition, for parameters that require a gradient:

    - *forgotten*: no optimizer holds them: layers put in after the optimizer was made, or left out
      of its list;
    - *cut off*: an optimizer holds them, and in no step that was looked at did they get a gradient,
      though their layer runs: a ``detach()``, ``torch.no_grad()``, ``.data`` or a step through
      numpy stands between them and the loss;
    - *unmoved*: they get a gradient that could move them, and in at least ``min_steps`` sampled
      steps none of them ever changed: a learning rate of 0, an optimizer of another copy of the
      network, updates that half precision rounds away. A gradient whose step would be less than
      ``min_push`` of the weights is what vanished, not the step: float32 holds seven digits;
    - *everything frozen*: no layer requires a gradient at all.

    Parameters that require no gradient were frozen on purpose. An expert or a head that gets a
    gradient in some of the steps is trained. What never runs (an unused pooling head) is mild: it
    costs memory, and nothing else. An optimizer that was given the last layers alone trains a head
    on fixed features: that is meant, and mild at most where the run went well.

    Severity: severe; moderate where the run went well all the same.

    Evidence: ``forgotten``, ``cut_off``, ``unmoved``: how many; ``unused``, how many of them never
    ran; ``frozen``.

    Args:
        min_steps: Least number of sampled steps without any change; at least 2. A warm-up from 0
            leaves the first one without.
        min_push: Least ratio of a step to the weights that float32 is sure to show, in (0, 1].

    Raises:
        ThresholdError: If an argument is out of range.
    """

    condition: ClassVar[str] = "untrained_parameters"
    min_steps: int = 5
    min_push: float = 1e-6

    def __post_init__(self) -> None:
        in_range("min_steps", self.min_steps, 2, float("inf"))
        in_range("min_push", self.min_push, 0, 1, open_low=True)

    def unjudged(self, trace: Trace) -> str | None:
        """Say that no layer was seen."""
        if trace.facts.layers or trace.facts.forgotten or trace.facts.frozen:
            return None
        return say("untrained_parameters: no layer of the network was seen.")

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return a finding for each way in which parameters are left untrained."""
        if _all_frozen(trace):
            yield _frozen(trace)
            return
        running = _running(trace)
        forgotten = _by_module(trace.facts.forgotten)
        cut = self._cut_off(trace)
        unused = [n for n in (*forgotten, *cut) if running and not _runs(n, running)]
        used = [n for n in forgotten if n not in unused]
        if used:
            yield self._forgotten(trace, used, sum(forgotten[n] for n in used))
        used = [n for n in cut if n not in unused]
        if used:
            yield self._cut(trace, used, sum(cut[n] for n in used))
        still = [n for n in self._unmoved(trace) if n not in forgotten and n not in cut]
        if still:
            yield self._still(trace, still)
        if unused:
            yield _unused(unused, sum(forgotten.get(n, 0) or cut.get(n, 0) for n in unused))

    def _cut_off(self, trace: Trace) -> dict[str, int]:
        """Module -> number of parameters without a gradient in every sampled step."""
        rows = [row for row in trace if row.quantity == Quantity.GRADIENTLESS and row.value > 0]
        # Weights are read where parameters without a gradient are looked for; gradients more often.
        weighed = {step for step, _ in trace.series(Quantity.WEIGHT_NORM)}
        steps = weighed or set(sampled_steps(trace)) or {row.step for row in rows}
        found: dict[str, dict[int, float]] = {}
        for row in rows:
            found.setdefault(row.module, {})[row.step] = row.value
        return {
            name: int(min(of.values())) for name, of in found.items() if steps <= set(of) and steps
        }

    def _unmoved(self, trace: Trace) -> Iterator[str]:
        updates: dict[str, list[float]] = {}
        gradients: dict[str, list[float]] = {}
        weights: dict[str, float] = {}
        for row in trace:
            if row.quantity == Quantity.UPDATE_NORM:
                updates.setdefault(row.module, []).append(row.value)
            elif row.quantity == Quantity.GRADIENT_NORM:
                gradients.setdefault(row.module, []).append(row.value)
            elif row.quantity == Quantity.WEIGHT_NORM:
                weights.setdefault(row.module, row.value)
        rate = _rate(trace)
        for layer in trace.facts.layers:
            seen = updates.get(layer.name, [])
            least = self.min_push * weights.get(layer.name, 0.0)
            pulled = sum(1 for g in gradients.get(layer.name, []) if g > 0 and rate * g >= least)
            enough = len(seen) >= self.min_steps and pulled >= self.min_steps
            if layer.trainable and layer.in_optimizer and enough and not any(seen):
                yield layer.name

    def _forgotten(self, trace: Trace, names: Sequence[str], count: int) -> Finding:
        head_alone = _is_beginning(trace, names)
        severity = _severity(trace)
        if head_alone and severity == "moderate":
            severity = "mild"
        return Finding(
            condition=self.condition,
            severity=severity,
            confidence=0.7 if head_alone else 0.95,
            layers=tuple(names),
            since=None,
            evidence={"forgotten": float(count)},
            explanation=say(
                "No optimizer holds {layers}: {count} parameters that require a gradient keep "
                "their first values.",
                layers=_listed(names),
                count=count,
            ),
            advice=say(
                "Make the optimizer from model.parameters() after the network is complete; "
                "call requires_grad_(False) on what is to stay fixed."
            ),
            phrase=say("{layers} in no optimizer", layers=_listed(names)),
        )

    def _cut(self, trace: Trace, names: Sequence[str], count: int) -> Finding:
        return Finding(
            condition=self.condition,
            severity=_severity(trace),
            confidence=0.9,
            layers=tuple(names),
            since=None,
            evidence={"cut_off": float(count)},
            explanation=say_many(
                "No gradient ever reaches {layers}, though the optimizer holds it and the forward "
                "pass runs through: something cuts the way back from the loss.",
                "No gradient ever reaches {layers}, though the optimizer holds them and the "
                "forward pass runs through: something cuts the way back from the loss.",
                len(names),
                layers=_listed(names),
            ),
            advice=say(
                "Look between there and the loss for detach(), torch.no_grad(), .data, .item(), "
                "argmax or numpy, and take it out."
            ),
            phrase=say("no gradient reaches {layers}", layers=_listed(names)),
        )

    def _still(self, trace: Trace, names: Sequence[str]) -> Finding:
        return Finding(
            condition=self.condition,
            severity=_severity(trace),
            confidence=0.9,
            layers=tuple(names),
            since=None,
            evidence={"unmoved": float(len(names))},
            explanation=say(
                "The weights of {layers} never change, though they get gradients and the "
                "optimizer holds them.",
                layers=_listed(names),
            ),
            advice=say(
                "Look at the learning rate of their parameter group (is it 0?), at whether the "
                "optimizer was made for this very network and its step() is called, and keep "
                "weights in float32 if they are in half precision."
            ),
            phrase=say("the weights of {layers} never change", layers=_listed(names)),
        )


def _rate(trace: Trace) -> float:
    """Return what a gradient is multiplied by in a step; 1 where steps do not grow with it."""
    rates = [value for _, value in trace.series(Quantity.LEARNING_RATE) if value > 0]
    return max(rates, default=1.0) if trace.facts.optimizer == "SGD" else 1.0


def _all_frozen(trace: Trace) -> bool:
    layers = trace.facts.layers
    pulled = any(value > 0 for _, value in trace.series(Quantity.GRADIENT_NORM))
    return bool(layers) and not any(layer.trainable for layer in layers) and not pulled


def _frozen(trace: Trace) -> Finding:
    names = tuple(layer.name for layer in trace.facts.layers)
    return Finding(
        condition=UntrainedParameters.condition,
        severity="severe",
        confidence=0.95,
        layers=names,
        since=None,
        evidence={"frozen": float(len(trace.facts.frozen) or len(names))},
        explanation=say("No layer of the network requires a gradient: nothing can be trained."),
        advice=say(
            "Call requires_grad_(True) on the layers that are to be trained, the head at least."
        ),
        phrase=say("every layer is frozen"),
    )


def _unused(names: Sequence[str], count: int) -> Finding:
    return Finding(
        condition=UntrainedParameters.condition,
        severity="mild",
        confidence=0.8,
        layers=tuple(names),
        since=None,
        evidence={"unused": float(count)},
        explanation=say(
            "{layers} never ran: {count} parameters stay as they are.",
            layers=_listed(names),
            count=count,
        ),
        advice=say("Remove what is not used, or call it in forward()."),
        phrase=say("{layers} never ran", layers=_listed(names)),
    )


def _by_module(parameters: Sequence[str]) -> dict[str, int]:
    """Module -> number of its parameters among those named, in their order."""
    return dict(Counter(name.rpartition(".")[0] for name in parameters))


def _running(trace: Trace) -> frozenset[str]:
    facts = trace.facts
    return frozenset((*(x.name for x in facts.layers), *(x.name for x in facts.norms)))


def _runs(name: str, running: frozenset[str]) -> bool:
    """Whether a module ran: it, what it is part of, or a part of it was seen. The root always."""
    if not name or name in running:
        return True
    return any(name.startswith(f"{r}.") or r.startswith(f"{name}.") for r in running if r)


def _is_beginning(trace: Trace, names: Sequence[str]) -> bool:
    """Whether what is named are the first layers, and the optimizer holds all behind them."""
    held = [layer.in_optimizer for layer in trace.facts.layers if layer.trainable]
    left_out = held.count(False)
    return 0 < left_out < len(held) and not any(held[:left_out]) and len(names) >= left_out


def _severity(trace: Trace) -> Severity:
    return "moderate" if is_tried(trace) and went_well(trace) else "severe"


def _listed(names: Sequence[str]) -> Said:
    shown = together([name or say("the network itself") for name in names[:3]], ", ")
    more = len(names) - 3
    return shown if more <= 0 else say("{names} and {more} more", names=shown, more=more)
