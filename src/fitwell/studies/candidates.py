"""Candidates of a search: a recipe at a learning rate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, final

from fitwell.recipe import Recipe
from fitwell.records import RemedySpec
from fitwell.studies.job import Job

Specs: TypeAlias = tuple[RemedySpec, ...]

RATES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Learning rates, as multiples of the task's own, that the untreated network may move to, one step
at a time; a treated one may have any rate between the ends."""

APART = (
    frozenset({"BatchNorm", "GroupNorm", "LayerNorm"}),
    frozenset({"ClipNorm", "ClipValue", "AdaptiveClip", "PercentileClip"}),
    frozenset({"Initialization", "LSUV"}),
    frozenset({"Mixup", "CutMix"}),
)
"""Remedies that stand in for each other: a recipe holds one of them at most."""


@final
@dataclass(frozen=True)
class Candidate:
    """A recipe at a learning rate; no remedy at all is the untreated network."""

    recipe: Specs = ()
    rate: float = 1.0

    def job(self, seed: int, epochs: int | None = None) -> Job:
        """Return its run of that seed, or the beginning of it, scored on validation."""
        return Job(self.recipe, seed, self.rate, epochs=epochs, arm=label(self.recipe))

    def at(self, step: int) -> Candidate | None:
        """Return it with the rate that many steps of :data:`RATES` higher; None beyond the ends."""
        place = min(range(len(RATES)), key=lambda i: abs(RATES[i] - self.rate)) + step
        return replace(self, rate=RATES[place]) if 0 <= place < len(RATES) else None

    def without(self, name: str) -> Candidate:
        """Return it without the remedy of that name."""
        return replace(self, recipe=tuple(s for s in self.recipe if s.name != name))

    @property
    def structure(self) -> tuple[str, ...]:
        """Names of its remedies: candidates alike in them differ in doses and rate alone."""
        return tuple(spec.name for spec in self.recipe)


def label(recipe: Sequence[RemedySpec]) -> str:
    """Return a short name: the remedies, or ``untreated``."""
    return " + ".join(spec.name for spec in recipe) or "untreated"


def combined(specs: Iterable[RemedySpec]) -> Specs:
    """Return the specs in canonical order, without those that an earlier one stands in for."""
    kept: list[RemedySpec] = []
    for spec in specs:
        rivals = rivals_of(spec.name)
        if not any(other.name == spec.name or other.name in rivals for other in kept):
            kept.append(spec)
    return tuple(Recipe(*kept).specs)


def rivals_of(name: str) -> frozenset[str]:
    """Return the remedies that a recipe cannot hold beside one."""
    return frozenset(n for group in APART if name in group for n in group) - {name}
