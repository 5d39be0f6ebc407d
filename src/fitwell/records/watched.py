"""What was found in every network that a program trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from fitwell.records.diagnosis import Diagnosis, worst_of
from fitwell.records.findings import Finding, Severity
from fitwell.records.trace import Trace
from fitwell.words import say


@final
@dataclass(frozen=True)
class Recorded:
    """What was recorded of one network.

    Args:
        name: What the program calls it.
        kind: Its class.
        parameters: Number of its parameters.
        optimizer: Class of what trained it.
        steps: Optimizer steps that it made.
        trace: What the probes recorded.
        cost: Share of the run's time that watching took, in [0, 1].
    """

    name: str
    kind: str
    parameters: int
    optimizer: str
    steps: int
    trace: Trace
    cost: float


@final
@dataclass(frozen=True)
class WatchedModel:
    """One network that a program trained.

    Args:
        name: What the program calls it, as ``"netG"``; unique among the models.
        kind: Its class.
        parameters: Number of its parameters.
        optimizer: Class of what trained it.
        steps: Optimizer steps that it made.
        diagnosis: What was found.
        cost: Share of the run's time that watching took, in [0, 1].
        trace: What it was judged on.
    """

    name: str
    kind: str
    parameters: int
    optimizer: str
    steps: int
    diagnosis: Diagnosis
    cost: float = 0.0
    trace: Trace = field(default_factory=Trace, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the findings and the trace as JSON-ready data."""
        return {
            "name": self.name,
            "kind": self.kind,
            "parameters": self.parameters,
            "optimizer": self.optimizer,
            "steps": self.steps,
            "healthy": self.diagnosis.healthy,
            "conditions": list(self.diagnosis.conditions),
            "unjudged": list(self.diagnosis.unjudged),
            "cost": self.cost,
        }


@final
@dataclass(frozen=True)
class WatchedProgram:
    """A program, and the networks that it trained.

    Args:
        name: Name of the script or the module.
        code: Its own exit code.
        models: The networks, in the order in which they began to train.
    """

    name: str
    code: int
    models: tuple[WatchedModel, ...]

    def worst(self) -> Severity | None:
        """Return the highest severity found in any network, or None if all are healthy."""
        found = [finding for _, finding in self.findings()]
        return worst_of(found) if found else None

    def findings(self) -> Iterator[tuple[WatchedModel, Finding]]:
        """Yield every finding with its network."""
        for model in self.models:
            for finding in model.diagnosis:
                yield model, finding

    def groups(self) -> list[tuple[WatchedModel, ...]]:
        """Return the networks, those together that are of one class and ail alike.

        The folds of a cross-validation make many networks of one class, and mostly the same is to
        be said of all: conditions and layers decide, not the numbers.
        """
        groups: dict[object, list[WatchedModel]] = {}
        for model in self.models:
            ails = frozenset((f.condition, f.severity, f.layers) for f in model.diagnosis)
            groups.setdefault((model.kind, model.parameters, ails), []).append(model)
        return [tuple(group) for group in groups.values()]

    def to_dict(self) -> dict[str, Any]:
        """Return schema 1: as a diagnosis, with the name of the network beside every finding."""
        unjudged = (s for model in self.models for s in model.diagnosis.unjudged)
        return {
            "schema": 1,
            "healthy": self.worst() is None,
            "findings": [f.to_dict() | {"model": m.name} for m, f in self.findings()],
            "chains": [
                c | {"model": m.name} for m in self.models for c in m.diagnosis.to_dict()["chains"]
            ],
            "unjudged": list(dict.fromkeys(unjudged)) if self.models else [NOTHING_SEEN],
            "models": [model.to_dict() for model in self.models],
            "program": self.name,
            "exit_code": self.code,
        }


NOTHING_SEEN = say("No network was seen to train: no optimizer made a step.")


def unique_names(names: Sequence[str]) -> list[str]:
    """Return the names, those that come again with their number: ``net``, ``net 2``."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return found
