"""The prior of a search: what the diagnosis makes of every remedy, before anything was tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, zip_longest
from types import MappingProxyType
from typing import Any, final

from fitwell.prescribe import REMEDIES_FOR, remedies_for
from fitwell.records import Diagnosis, Facts, Finding, RemedySpec
from fitwell.studies.candidates import combined, rivals_of
from fitwell.studies.search.space import NOT_SEARCHED, Option, Space

NEUTRAL = 0.05
"""Probability of a remedy that nothing speaks for or against: one in twenty recipes holds it."""

OFTEN = frozenset({"BatchNorm", "Initialization", "WeightAverage"})
"""Remedies that help many a network which has nothing that they answer, or hurt little: twice as
probable as the others where no finding names them."""

AGAINST = 0.02
"""Probability of a remedy that answers healthy conditions alone; never zero, since detectors err
and a cured network may fall ill with what it could not show before."""

NAMED = {"mild": 0.35, "moderate": 0.5, "severe": 0.6}
"""Probability of the remedy that a sure finding of that severity names first."""

FADING = 0.85
"""Factor from one remedy of a finding to the next: the rankings of prescribe are measured, but not
far apart."""

STAND_IN = 0.25
"""Share of a rival's probability that goes to a remedy which stands in for it."""

HIDING = frozenset({"not_learning", "underfitting", "non_finite"})
"""A run with one of these shows nothing of overfitting: that it was not found speaks not against
what answers it."""

BY_CAUSE = 0.5
"""Weight of a finding that another one explains: the cause is to be treated first."""

TOGETHER: Mapping[str, tuple[tuple[str, ...], ...]] = MappingProxyType(
    {
        "vanishing_gradients": (
            ("Activation", "Initialization", "BatchNorm"),
            ("Activation", "Initialization"),
            ("BatchNorm",),
            ("Activation", "Initialization", "LayerNorm"),
            ("Activation", "Initialization", "GroupNorm"),
        ),
        "exploding_gradients": (
            ("ClipNorm", "Initialization"),
            ("Initialization",),
            ("ClipNorm",),
            ("Initialization", "BatchNorm"),
        ),
        "overfitting": (
            ("Augment", "BatchNorm", "Dropout", "L2"),
            ("Augment", "BatchNorm", "Dropout", "LabelSmoothing"),
            ("Augment",),
            ("Dropout", "L2"),
            ("Augment", "BatchNorm"),
            ("Dropout", "Mixup", "WeightAverage"),
            ("Dropout", "LabelSmoothing"),
        ),
    }
)
"""Remedies that go together against a condition, the most promising first. Only those that the
diagnosis names are used; for other conditions the first one, two and three that it names."""

STARTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "Augment": {"strength": 0.3},
        "Dropout": {"rate": 0.35},
        "LabelSmoothing": {"amount": 0.05},
        "WeightAverage": {"decay": 0.99},
    }
)
"""Doses to begin with where the diagnosis names none: mild ones, since remedies come together."""


@final
@dataclass(frozen=True)
class Prior:
    """What a diagnosis makes of a space.

    Args:
        probability: How probable it is that a good recipe holds the remedy, in (0, 1), by name.
        starts: The remedy with the dose to begin with, by name.
        plans: Names of remedies to try together, the most promising first.
        reasons: Why a probability is what it is, as sentences, by name.
    """

    probability: Mapping[str, float]
    starts: Mapping[str, RemedySpec]
    plans: tuple[tuple[str, ...], ...]
    reasons: Mapping[str, str]

    def place(self, option: Option) -> float:
        """Return where the dose to begin with stands, in [0, 1]."""
        return option.place(self.starts[option.name])


def prior_of(diagnosis: Diagnosis, space: Space) -> Prior:
    """Return the probability and the first dose of every remedy of a space.

    Each finding that names a remedy raises it, by severity, confidence and rank; several findings
    add up as independent reasons. Remedies that answer nothing but conditions which were judged
    and not found are lowered. The others stay where they are.

    Args:
        diagnosis: What was found; ``unjudged`` says what could not be.
        space: The remedies that can serve the network.
    """
    doubts: dict[str, float] = {}
    reasons: dict[str, list[str]] = {}
    for finding in diagnosis:
        names = [n for n in _named(finding) if n in space.options]
        for rank, name in enumerate(names):
            doubts[name] = doubts.get(name, 1.0) * (1 - _weight(finding) * FADING**rank)
            reasons.setdefault(name, []).append(f"{finding.condition} names it at {rank + 1}")
    probability: dict[str, float] = {}
    why: dict[str, str] = {}
    for name in space.options:
        if name in doubts:
            probability[name], why[name] = max(NEUTRAL, 1 - doubts[name]), "; ".join(reasons[name])
        else:
            probability[name], why[name] = _unnamed(name, doubts, diagnosis)
    starts = {name: _start(option, diagnosis) for name, option in space.options.items()}
    return Prior(
        MappingProxyType(probability),
        MappingProxyType(starts),
        tuple(_plans(diagnosis, space)),
        MappingProxyType(why),
    )


def _unnamed(name: str, doubts: Mapping[str, float], diagnosis: Diagnosis) -> tuple[float, str]:
    """Return the probability of a remedy that no finding names, and why it is that."""
    often = 2.0 if name in OFTEN else 1.0
    rivals = {rival: 1 - doubts[rival] for rival in sorted(rivals_of(name)) if rival in doubts}
    if rivals:
        best = max(rivals, key=lambda rival: rivals[rival])
        return max(often * NEUTRAL, STAND_IN * rivals[best]), f"it can stand in for {best}"
    healthy = _healthy_answered(name, diagnosis)
    if healthy:
        return often * AGAINST, f"it answers {', '.join(healthy)}: not found"
    return often * NEUTRAL, "nothing speaks for or against it"


def names_remedies(diagnosis: Diagnosis) -> bool:
    """Say whether a finding names a remedy that a search can try."""
    return any(_named(finding) for finding in diagnosis)


def started(space: Space, prior: Prior) -> Space:
    """Return the space with the arguments that the diagnosis sets beside the dose."""
    options = {}
    for name, option in space.options.items():
        dosed = option.dose.argument if option.dose else ""
        args = {k: v for k, v in prior.starts[name].args.items() if k != dosed}
        options[name] = replace(option, fixed={**option.fixed, **args})
    return replace(space, options=MappingProxyType(options))


def _weight(finding: Finding) -> float:
    explained = BY_CAUSE if finding.cause is not None else 1.0
    return NAMED[finding.severity] * finding.confidence * explained


def _named(finding: Finding) -> list[str]:
    """Return the names of its remedies that a search can try, in order, each once."""
    names = (spec.name for spec in finding.remedies)
    return [name for name in dict.fromkeys(names) if name not in NOT_SEARCHED]


def _healthy_answered(name: str, diagnosis: Diagnosis) -> tuple[str, ...]:
    """Return the conditions that a remedy answers, if all were judged and none found."""
    answered = tuple(c for c, names in _answers().items() if name in names)
    unjudged = {sentence.partition(":")[0] for sentence in diagnosis.unjudged}
    if HIDING & set(diagnosis.conditions):
        unjudged.add("overfitting")
    sound = not unjudged & set(answered) and not set(diagnosis.conditions) & set(answered)
    return answered if sound else ()


@lru_cache(maxsize=1)
def _answers() -> Mapping[str, frozenset[str]]:
    """Return the remedies that answer every condition in a network of which nothing is known."""
    blank = {c: Finding(c, "mild", 0.0, (), None, {}, "") for c in REMEDIES_FOR}
    return {c: frozenset(s.name for s in remedies_for(f, Facts())) for c, f in blank.items()}


def _start(option: Option, diagnosis: Diagnosis) -> RemedySpec:
    """Return a remedy as the first finding that names it does, a mild dose where it gives none."""
    specs = chain.from_iterable(finding.remedies for finding in diagnosis)
    given = next((spec.args for spec in specs if spec.name == option.name), {})
    args: dict[str, Any] = {**STARTS.get(option.name, {}), **option.fixed, **given}
    dose = option.dose
    if dose is not None and dose.choices and args.get(dose.argument) not in dose.choices:
        args[dose.argument] = dose.choices[0]
    return RemedySpec(option.name, args)


def _plans(diagnosis: Diagnosis, space: Space) -> Iterator[tuple[str, ...]]:
    """Yield what to try together: what the findings name, combined, then each by itself.

    Combinations of every finding in turn, then what the findings name first taken together, then
    remedies by themselves; each set of remedies once.
    """
    plans = [list(_together(finding, space)) for finding in diagnosis]
    mixed = [plan for group in zip_longest(*plans) for plan in group if plan]
    firsts = tuple(dict.fromkeys(plan[0] for plan in plans if plan))
    union = tuple(dict.fromkeys(chain.from_iterable(firsts)))
    alone = dict.fromkeys(n for f in diagnosis for n in _named(f) if n in space.options)
    wanted = [*mixed[: len(plans)], union, *mixed[len(plans) :], *((n,) for n in alone)]
    seen: set[tuple[str, ...]] = set()
    for plan in wanted:
        names = tuple(spec.name for spec in combined(map(RemedySpec, plan)))
        if names and names not in seen:
            seen.add(names)
            yield names


def _together(finding: Finding, space: Space) -> Iterator[tuple[str, ...]]:
    names = [n for n in _named(finding) if n in space.options]
    plans = TOGETHER.get(finding.condition) or tuple(tuple(names[:n]) for n in (2, 1, 3))
    for plan in plans:
        kept = tuple(name for name in plan if name in names)
        if kept:
            yield kept
