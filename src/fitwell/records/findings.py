"""What a detector says: findings, and the diagnosis that they make together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, final

Severity: TypeAlias = Literal["mild", "moderate", "severe"]
SEVERITIES: tuple[Severity, ...] = ("mild", "moderate", "severe")

CONDITIONS: tuple[str, ...] = (
    "overfitting",
    "underfitting",
    "vanishing_gradients",
    "exploding_gradients",
    "non_finite",
    "dead_units",
    "saturated_units",
    "bad_initialization",
    "small_batch_norm",
    "recurrent_batch_norm",
    "learning_rate_too_high",
    "learning_rate_too_low",
    "oscillating_loss",
    "not_learning",
    "loss_output_mismatch",
    "unscaled_inputs",
    "untrained_parameters",
    "accumulated_gradients",
    "wrong_mode",
    "distribution_shift",
)
"""Slugs of the conditions that fitwell knows."""


@final
@dataclass(frozen=True)
class RemedySpec:
    """A remedy by name and arguments: plain data that ``Recipe(...)`` accepts.

    Args:
        name: Name of a remedy, as ``"ClipNorm"``.
        args: Its keyword arguments; what is left out keeps its default.
    """

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"name": ..., "args": {...}}``."""
        return {"name": self.name, "args": dict(self.args)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RemedySpec:
        """Read what :meth:`to_dict` wrote."""
        return cls(str(data["name"]), dict(data.get("args", {})))

    def __hash__(self) -> int:
        return hash((self.name, json.dumps(dict(self.args), sort_keys=True, default=str)))

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.args.items())})"


@final
@dataclass(frozen=True)
class Finding:
    """One condition, and the numbers that it rests on.

    Args:
        condition: Slug of the condition, one of :data:`CONDITIONS`.
        severity: ``"mild"``, ``"moderate"`` or ``"severe"``.
        confidence: How sure the detector is, in [0, 1].
        layers: Names of the modules concerned; empty if it is the whole network.
        since: Optimizer step at which it began, or None if it was there before the first.
        evidence: Named numbers that the judgement rests on.
        explanation: One or two sentences for the user.
        remedies: Remedies that answer it, the most promising first.
        cause: The finding that explains this one, if one does.
        until: Optimizer step at which it ended, or None if it lasted to the end.
        advice: What to change in the code, in the imperative, where no remedy can do it.
        phrase: A few words for a chain of causes, as "the loss is NaN from step 3".
    """

    condition: str
    severity: Severity
    confidence: float
    layers: tuple[str, ...]
    since: int | None
    evidence: Mapping[str, float]
    explanation: str
    remedies: tuple[RemedySpec, ...] = ()
    cause: Finding | None = None
    until: int | None = None
    advice: str = ""
    phrase: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON-ready data; ``cause`` as the slug of the other one."""
        return {
            "condition": self.condition,
            "severity": self.severity,
            "confidence": self.confidence,
            "layers": list(self.layers),
            "since": self.since,
            "evidence": {k: _finite(v) for k, v in self.evidence.items()},
            "explanation": self.explanation,
            "remedies": [spec.to_dict() for spec in self.remedies],
            "cause": self.cause.condition if self.cause else None,
            "until": self.until,
            "advice": self.advice,
        }

    def with_remedies(self, remedies: tuple[RemedySpec, ...]) -> Finding:
        """Return a copy that names these remedies."""
        return replace(self, remedies=remedies)


def _finite(value: float) -> float | str:
    """JSON has no infinity and no NaN: spell them out."""
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        return str(number)
    return number


@final
@dataclass(frozen=True)
class Diagnosis:
    """All findings of one run; empty means healthy.

    Args:
        findings: What was found, root causes and severe findings first.
        unjudged: Sentences on what could not be judged, and why.
    """

    findings: tuple[Finding, ...] = ()
    unjudged: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """True if nothing was found."""
        return not self.findings

    @property
    def conditions(self) -> tuple[str, ...]:
        """Slugs of the findings, in order."""
        return tuple(finding.condition for finding in self.findings)

    def worst(self) -> Severity | None:
        """Return the highest severity found, or None if healthy."""
        ranks = [SEVERITIES.index(finding.severity) for finding in self.findings]
        return SEVERITIES[max(ranks)] if ranks else None

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"schema": 1, "healthy": bool, "findings": [...], "unjudged": [...]}``."""
        return {
            "schema": 1,
            "healthy": self.healthy,
            "findings": [finding.to_dict() for finding in self.findings],
            "unjudged": list(self.unjudged),
        }

    def to_json(self) -> str:
        """Return :meth:`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def __str__(self) -> str:
        if self.healthy:
            return "healthy: no finding"
        return "\n".join(
            f"{f.severity} {f.condition}"
            + (f" in {', '.join(f.layers)}" if f.layers else "")
            + f": {f.explanation}"
            for f in self.findings
        )
