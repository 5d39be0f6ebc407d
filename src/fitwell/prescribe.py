"""From findings to remedies: one table, and the diagnosis that it completes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import final

from fitwell.detectors import DETECTORS
from fitwell.errors import BadInput
from fitwell.records import SEVERITIES, Diagnosis, Facts, Finding, RemedySpec, Trace

SMALL_BATCH = 16
"""Below this many rows in a batch, batch norm is not named: batch statistics of few rows are noise
(Wu and He, "Group normalization", ECCV 2018, shows the loss from 16 down)."""


@final
@dataclass(frozen=True)
class Row:
    """What one condition leads to.

    Args:
        remedies: Names what answers a finding, the most promising first.
        explains: Conditions that this one brings about.
    """

    remedies: Callable[[Finding, Facts], tuple[RemedySpec, ...]]
    explains: tuple[str, ...] = ()


def _recurrent(facts: Facts) -> bool:
    return any(layer.role == "recurrent" for layer in facts.layers)


def _norm(facts: Facts) -> tuple[RemedySpec, ...]:
    """Batch norm; for small batches group or layer norm; for recurrent networks layer norm.

    None where the network is normalised already.
    """
    hidden = [layer for layer in facts.layers if layer.role in ("hidden", "recurrent")]
    if not hidden or all(layer.normalized for layer in hidden):
        return ()
    if _recurrent(facts):
        return (RemedySpec("LayerNorm"),)
    if 0 < facts.batch_size < SMALL_BATCH:
        # Channels of an image are best taken in groups, units of a row together.
        maps = any(layer.kind.startswith("Conv") for layer in hidden)
        return (RemedySpec("GroupNorm" if maps else "LayerNorm"),)
    return (RemedySpec("BatchNorm"),)


def _activation(facts: Facts) -> tuple[RemedySpec, ...]:
    """ReLU, where a sigmoid or tanh between layers can be replaced."""
    swappable = {layer.activation for layer in facts.layers if layer.role == "hidden"}
    return (RemedySpec("Activation"),) if swappable & {"sigmoid", "tanh"} else ()


def _for_first_weights(finding: Finding, facts: Facts) -> tuple[RemedySpec, ...]:
    return (
        RemedySpec("Initialization"),
        *_norm(facts),
        *_activation(facts),
        RemedySpec("LSUV"),
    )


def _for_explosion(finding: Finding, facts: Facts) -> tuple[RemedySpec, ...]:
    return (
        RemedySpec("ClipNorm"),
        RemedySpec("Initialization"),
        *_norm(facts),
        *(RemedySpec(name) for name in ("ClipValue", "AdaptiveClip", "PercentileClip")),
        RemedySpec("LearningRate"),
    )


def _for_vanishing(finding: Finding, facts: Facts) -> tuple[RemedySpec, ...]:
    return (*_activation(facts), RemedySpec("Initialization"), *_norm(facts))


def _for_dead(finding: Finding, facts: Facts) -> tuple[RemedySpec, ...]:
    leaky = RemedySpec("Activation", {"kind": "leaky_relu"})
    return (leaky, RemedySpec("Initialization"), *_norm(facts), RemedySpec("ClipNorm"))


def _for_saturation(finding: Finding, facts: Facts) -> tuple[RemedySpec, ...]:
    return (RemedySpec("Initialization"), *_activation(facts), *_norm(facts))


def _for_overfitting(finding: Finding, facts: Facts) -> tuple[RemedySpec, ...]:
    names = ["Augment", "Dropout", "L2", "EarlyStopping", *(s.name for s in _norm(facts))]
    if facts.classes or "cross_entropy" in facts.loss:
        names.append("LabelSmoothing")
    more = ("Mixup", "CutMix", "WeightAverage", "Shrink", "L1")
    return tuple(RemedySpec(name) for name in (*names, *more))


def _for_underfitting(finding: Finding, facts: Facts) -> tuple[RemedySpec, ...]:
    """Nothing of its own where another condition explains it: treat that one."""
    if finding.cause is not None:
        return ()
    return (*_norm(facts), RemedySpec("Initialization"), *_activation(facts))


REMEDIES_FOR: Mapping[str, Row] = MappingProxyType(
    {
        "bad_initialization": Row(
            _for_first_weights,
            (
                "exploding_gradients",
                "vanishing_gradients",
                "dead_units",
                "saturated_units",
                "non_finite",
                "underfitting",
            ),
        ),
        "exploding_gradients": Row(
            _for_explosion,
            ("dead_units", "saturated_units", "vanishing_gradients", "non_finite", "underfitting"),
        ),
        "dead_units": Row(_for_dead, ("vanishing_gradients", "underfitting")),
        "saturated_units": Row(_for_saturation, ("vanishing_gradients", "underfitting")),
        "vanishing_gradients": Row(_for_vanishing, ("underfitting",)),
        "non_finite": Row(_for_explosion, ("dead_units", "underfitting")),
        "overfitting": Row(_for_overfitting),
        "underfitting": Row(_for_underfitting),
    }
)
"""Condition to what it leads to; roots stand before what they explain."""


def remedies_for(finding: Finding, facts: Facts) -> tuple[RemedySpec, ...]:
    """Return the remedies that answer a finding in this network, the most promising first.

    Args:
        finding: What was found.
        facts: What is known of the network, its batches and its loss.

    Returns:
        Names and arguments; which of them helps is for a study to say. Empty where the table
        holds no row for the condition.
    """
    row = REMEDIES_FOR.get(finding.condition)
    return row.remedies(finding, facts) if row else ()


def diagnose(trace: Trace, *, only: Collection[str] | None = None) -> Diagnosis:
    """Judge a trace by every detector, link findings to their causes, and name remedies.

    Args:
        trace: What the probes recorded.
        only: Conditions to look for; all by default.

    Returns:
        Root causes first, then what they explain; within each, the severest first.

    Raises:
        BadInput: If ``only`` names a condition that has no detector.
    """
    known = {detector.condition for detector in DETECTORS}
    for name in only or ():
        if name not in known:
            raise BadInput(f"Expected one of {', '.join(sorted(known))}, got {name!r}.")
    chosen = [d for d in DETECTORS if only is None or d.condition in only]
    order = list(REMEDIES_FOR)
    found = [finding for detector in chosen for finding in detector.detect(trace)]
    found.sort(key=lambda f: order.index(f.condition) if f.condition in order else len(order))
    linked: list[Finding] = []
    for finding in found:
        caused = replace(finding, cause=_cause(finding, linked))
        linked.append(caused.with_remedies(remedies_for(caused, trace.facts)))
    linked.sort(key=_rank)
    unjudged = tuple(s for s in (d.unjudged(trace) for d in chosen) if s is not None)
    return Diagnosis(tuple(linked), unjudged)


def _cause(finding: Finding, earlier: list[Finding]) -> Finding | None:
    """First finding that explains this one and did not begin after it."""
    for other in earlier:
        row = REMEDIES_FOR.get(other.condition)
        if row and finding.condition in row.explains and _begin(other) <= _end(finding):
            return other
    return None


def _begin(finding: Finding) -> int:
    return finding.since or 0


def _end(finding: Finding) -> float:
    """Underfitting has no beginning of its own: whatever else was found came before its end."""
    return float("inf") if finding.condition == "underfitting" else finding.since or 0


def _rank(finding: Finding) -> tuple[bool, int]:
    return finding.cause is not None, -SEVERITIES.index(finding.severity)
