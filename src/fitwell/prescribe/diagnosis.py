"""The diagnosis of a trace: every detector asked, findings linked to their causes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from fitwell.detectors import DETECTORS
from fitwell.errors import BadInput
from fitwell.prescribe.causes import linked
from fitwell.prescribe.table import REMEDIES_FOR, remedies_for
from fitwell.records import (
    CONDITIONS,
    SEVERITIES,
    Diagnosis,
    Facts,
    Finding,
    Quantity,
    Trace,
    worst_of,
)

_OF_RATE = frozenset(
    {
        *("learning_rate_too_high", "learning_rate_too_low", "oscillating_loss", "not_learning"),
        *("dead_units", "saturated_units", "exploding_gradients", "non_finite"),
    }
)
"""Conditions that another learning rate may answer, for which the one of the run must be known."""


def diagnose(
    trace: Trace, *, only: Collection[str] | None = None, mute: Collection[str] = ()
) -> Diagnosis:
    """Judge a trace by every detector, link findings to their causes, and name remedies.

    A finding that another explains names no remedies but those that its root cause names too:
    treating a sign of an illness by itself is at best in vain.

    Args:
        trace: What the probes recorded.
        only: Conditions to look for; all by default.
        mute: Conditions not to name. They are looked for all the same, so that what they explain
            stays as it is: no other finding appears, disappears or changes.

    Returns:
        Root causes first, then what they explain; within each, the gravest illness first.

    Raises:
        BadInput: If ``only`` or ``mute`` names no condition.
    """
    are_conditions("only", only or ())
    are_conditions("mute", mute)
    chosen = [d for d in DETECTORS if only is None or d.condition in only]
    found = [
        _with_rate(finding, trace) for detector in chosen for finding in detector.detect(trace)
    ]
    order = list(REMEDIES_FOR)
    found.sort(key=lambda f: order.index(f.condition))
    findings = explained(found, trace.facts)
    heard = [d for d in chosen if d.condition not in mute]
    return Diagnosis(
        tuple(f for f in findings if f.condition not in mute),
        tuple(s for s in (d.unjudged(trace) for d in heard) if s is not None),
        tuple(name for name in CONDITIONS if name in mute),
    )


def are_conditions(argument: str, names: Collection[str]) -> None:
    """Check that an argument holds conditions: one word alone would be read letter by letter.

    Args:
        argument: Name of the argument, for the message.
        names: What was given.

    Raises:
        BadInput: If it is a string, or one of the names is no condition.
    """
    if isinstance(names, str):
        raise BadInput(f"{argument} must be a list, got {names!r}: write [{names!r}].")
    for name in names:
        if name not in CONDITIONS:
            raise BadInput(
                f"{argument} must name conditions, got {name!r}: "
                f"expected one of {', '.join(CONDITIONS)}."
            )


def explained(found: Sequence[Finding], facts: Facts) -> tuple[Finding, ...]:
    """Return findings with their causes and remedies, root causes and grave illnesses first.

    Args:
        found: Findings in the order of the table, without causes.
        facts: What is known of the network, its batches and its loss.
    """
    explains = {condition: row.explains for condition, row in REMEDIES_FOR.items()}
    chain = linked(found, explains, [layer.name for layer in facts.layers])
    named = {id(f): remedies_for(f, facts) for f in chain}
    treated: dict[int, Finding] = {}
    for finding in sorted(chain, key=_depth):
        own = named[id(finding)]
        if finding.cause is not None:
            root = named[id(finding.root)]
            own = tuple(spec for spec in root if spec.name in {s.name for s in own})
        cause = treated[id(finding.cause)] if finding.cause is not None else None
        treated[id(finding)] = replace(finding, cause=cause, remedies=own)
    roots = {id(f): worst_of(g for g in chain if g.root is f) for f in chain if f.cause is None}
    ranked = sorted(
        chain, key=lambda f: (f.cause is not None, -SEVERITIES.index(roots[id(f.root)]))
    )
    return tuple(treated[id(f)] for f in ranked)


def _with_rate(finding: Finding, trace: Trace) -> Finding:
    """Add the learning rate to what is known of a finding that a change of it may answer."""
    rates = [rate for _, rate in trace.series(Quantity.LEARNING_RATE)]
    if finding.condition not in _OF_RATE or not rates:
        return finding
    return replace(finding, evidence={**finding.evidence, "rate": max(rates)})


def _depth(finding: Finding) -> int:
    return 0 if finding.cause is None else 1 + _depth(finding.cause)
