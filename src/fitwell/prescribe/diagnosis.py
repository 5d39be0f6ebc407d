"""The diagnosis of a trace: every detector asked, findings linked to their causes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from fitwell.detectors import DETECTORS
from fitwell.errors import BadInput
from fitwell.prescribe.table import REMEDIES_FOR, remedies_for
from fitwell.records import CONDITIONS, SEVERITIES, Diagnosis, Finding, Trace


def diagnose(
    trace: Trace, *, only: Collection[str] | None = None, mute: Collection[str] = ()
) -> Diagnosis:
    """Judge a trace by every detector, link findings to their causes, and name remedies.

    Args:
        trace: What the probes recorded.
        only: Conditions to look for; all by default.
        mute: Conditions not to look for.

    Returns:
        Root causes first, then what they explain; within each, the severest first.

    Raises:
        BadInput: If ``only`` or ``mute`` names no condition.
    """
    for name in (*(only or ()), *mute):
        if name not in CONDITIONS:
            raise BadInput(f"Expected one of {', '.join(CONDITIONS)}, got {name!r}.")
    chosen = [
        d for d in DETECTORS if (only is None or d.condition in only) and d.condition not in mute
    ]
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
