"""What a detector says of one condition; :mod:`fitwell.records.diagnosis` holds them together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, final

from fitwell.words import say, told

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
            "phrase": self.phrase,
        }

    @property
    def place(self) -> str:
        """Where and when it holds: ``"in fc1, fc2, since step 12"``."""
        where = (
            say("in {layers}", layers=some_of(self.layers))
            if self.layers
            else say("in the whole network")
        )
        if self.until is not None:
            return say(
                "{where}, from step {first} to {last}",
                where=where,
                first=f"{self.since or 0:,}",
                last=f"{self.until:,}",
            )
        if not self.since:
            return say("{where}, from the start", where=where)
        return say("{where}, since step {step}", where=where, step=f"{self.since:,}")

    @property
    def said(self) -> str:
        """Its phrase; where the detector gave none, the condition and when it began."""
        if self.phrase:
            return told(self.phrase)
        name = told(self.condition.replace("_", " "))
        if not self.since:
            return name
        return say("{condition} from step {step}", condition=name, step=f"{self.since:,}")

    @property
    def root(self) -> Finding:
        """The finding at the beginning of its chain of causes: itself where nothing explains it."""
        finding = self
        while finding.cause is not None:
            finding = finding.cause
        return finding

    def with_remedies(self, remedies: tuple[RemedySpec, ...]) -> Finding:
        """Return a copy that names these remedies."""
        return replace(self, remedies=remedies)


def some_of(names: Sequence[str], limit: int = 3) -> str:
    """Return the first names and how many follow: ``"a, b, c and 17 more"``."""
    if len(names) <= limit + 1:
        return ", ".join(names)
    return say("{names} and {more} more", names=", ".join(names[:limit]), more=len(names) - limit)


def _finite(value: float) -> float | str:
    """JSON has no infinity and no NaN: spell them out."""
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        return str(number)
    return number
