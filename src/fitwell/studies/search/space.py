"""The space of a search: every remedy on or off, with its dose, at a learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeAlias, final

from fitwell.errors import require
from fitwell.records import RemedySpec
from fitwell.remedies import REMEDIES
from fitwell.studies.candidates import APART, RATES, Candidate, Specs, combined
from fitwell.words import Said, say

NOT_SEARCHED = frozenset({"EarlyStopping", "FoldBatchNorm", "Prune"})
"""Every arm is scored at its best epoch: stopping early would change nothing but the time. Folding
and pruning are for a network that is trained already."""

FOR_KINDS: Mapping[str, frozenset[str]] = {"CutMix": frozenset({"image", "sequence"})}
"""Remedies that are tried on rows of some kinds alone."""

Refuse: TypeAlias = Callable[[Specs], str | None]
"""Says why a recipe cannot serve the network, or None if it can."""


@final
@dataclass(frozen=True)
class Dose:
    """The dose of a remedy: one argument, and the values that it may take.

    Args:
        argument: Its name.
        low: Least value.
        high: Largest value.
        log: Whether doses that differ by a factor are equally far apart.
        whole: Whether it is a whole number.
        near_one: Whether it is the distance from 1 that counts, as of a decay: 0.9 and 0.99 are as
            far apart as 0.99 and 0.999.
        choices: The values, where they are no numbers on a line; ``low`` and ``high`` are unused.
    """

    argument: str
    low: float = 0.0
    high: float = 1.0
    log: bool = True
    whole: bool = False
    near_one: bool = False
    choices: tuple[Any, ...] = ()

    def place(self, value: Any) -> float:
        """Return where a value stands between the ends, in [0, 1]; choices by their order."""
        if self.choices:
            at = self.choices.index(value) if value in self.choices else 0
            return (at + 0.5) / len(self.choices)
        low, high, now = (self._line(v) for v in (self.low, self.high, float(value)))
        return min(1.0, max(0.0, (now - low) / (high - low)))

    def value(self, place: float) -> Any:
        """Return the value at a place in [0, 1], numbers rounded to two digits."""
        inside = min(1.0, max(0.0, place))
        if self.choices:
            return self.choices[min(len(self.choices) - 1, int(inside * len(self.choices)))]
        low, high = self._line(self.low), self._line(self.high)
        at = low + inside * (high - low)
        number = rounded(math.exp(at)) if self.log else rounded(at)
        if self.near_one:
            return round(1 - number, 6)
        return max(1, round(number)) if self.whole else number

    def _line(self, value: float) -> float:
        value = 1 - value if self.near_one else value
        return math.log(max(value, 1e-12)) if self.log else value


DOSES: Mapping[str, Dose] = MappingProxyType(
    {
        "AdaptiveClip": Dose("max_ratio", 0.001, 0.3),
        "Activation": Dose("kind", choices=("relu", "leaky_relu", "gelu", "silu")),
        "Augment": Dose("strength", 0.1, 1.0),
        "ClipNorm": Dose("max_norm", 0.03, 10.0),
        "ClipValue": Dose("max_value", 0.01, 2.0),
        "CutMix": Dose("alpha", 0.1, 2.0),
        "Dropout": Dose("rate", 0.05, 0.7, log=False),
        "GroupNorm": Dose("groups", choices=(1, 4, 8, 32)),
        "Initialization": Dose("scheme", choices=("auto", "orthogonal")),
        "L1": Dose("strength", 1e-5, 0.1),
        "L2": Dose("strength", 1e-4, 2.0),
        "LabelSmoothing": Dose("amount", 0.02, 0.3),
        "LearningRate": Dose("warmup", 10, 300, whole=True),
        "Mixup": Dose("alpha", 0.05, 2.0),
        "PercentileClip": Dose("percentile", 5.0, 95.0, log=False),
        "Shrink": Dose("width", 0.1, 0.9),
        "WeightAverage": Dose("decay", 0.9995, 0.9, near_one=True),
    }
)
"""What may be dosed, and how; the other remedies are on or off."""

RATE = Dose("rate", RATES[0], RATES[-1])
"""The learning rate, as a multiple of the task's own: a dose of every arm."""


@final
@dataclass(frozen=True)
class Option:
    """A remedy of the space: the arguments that stay, and the dose, if it has one."""

    name: str
    dose: Dose | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def spec(self, place: float | None = None) -> RemedySpec:
        """Return the remedy with its dose at a place in [0, 1]; with its default for None."""
        if self.dose is None or place is None:
            return RemedySpec(self.name, dict(self.fixed))
        return RemedySpec(self.name, {**self.fixed, self.dose.argument: self.dose.value(place)})

    def place(self, spec: RemedySpec) -> float:
        """Return where the dose of a spec stands, in [0, 1]; 0.5 for a remedy without."""
        if self.dose is None:
            return 0.5
        default = getattr(REMEDIES[self.name](), self.dose.argument)
        return self.dose.place(spec.args.get(self.dose.argument, default))


@final
@dataclass(frozen=True)
class Space:
    """The remedies that a search may combine.

    Args:
        options: By name, in alphabetical order.
        refused: Sentences on remedies that cannot serve the network.
    """

    options: Mapping[str, Option]
    refused: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Names of which a recipe holds one at most: rivals together, every other by itself."""
        rivals = [tuple(n for n in self.options if n in group) for group in APART]
        held = {name for group in rivals for name in group}
        alone = [(name,) for name in self.options if name not in held]
        return tuple(group for group in (*rivals, *alone) if group)

    def candidate(self, places: Mapping[str, float], rate: float) -> Candidate:
        """Return the candidate with these remedies, all places being in [0, 1]."""
        specs = (self.options[name].spec(place) for name, place in places.items())
        return Candidate(combined(specs), RATE.value(rate))

    def parameters(self, candidate: Candidate) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a candidate as the parameters of an Optuna trial, with their distributions."""
        held = {spec.name: spec for spec in candidate.recipe}
        parameters: dict[str, Any] = {"rate": RATE.place(candidate.rate)}
        distributions: dict[str, Any] = {"rate": _unit()}
        for group in self.groups:
            on = next((name for name in group if name in held), OFF)
            parameters[key(group)], distributions[key(group)] = on, _choice(group)
            if on in held and self.options[on].dose is not None:
                parameters[on] = self.options[on].place(held[on])
                distributions[on] = _unit()
        return parameters, distributions

    def suggested(self, trial: Any) -> Candidate:
        """Return the candidate that an Optuna trial suggests."""
        places: dict[str, float] = {}
        for group in self.groups:
            on = trial.suggest_categorical(key(group), (OFF, *group))
            if on != OFF:
                dosed = self.options[on].dose is not None
                places[on] = trial.suggest_float(on, 0.0, 1.0) if dosed else 0.5
        return self.candidate(places, trial.suggest_float("rate", 0.0, 1.0))


OFF = "off"


def key(group: tuple[str, ...]) -> str:
    """Return the name of the Optuna parameter that says which of a group is on."""
    return "/".join(group) + "?"


def space_for(kind: str, refuse: Refuse) -> Space:
    """Return all remedies that can serve a network by themselves.

    Args:
        kind: What the rows are; augmentation is told, so that it need not guess a bag from a table.
        refuse: Says why a recipe cannot serve; a kind of dose that cannot is left out.
    """
    options: dict[str, Option] = {}
    refused: list[str] = []
    for name in REMEDIES:
        if name in NOT_SEARCHED or kind not in FOR_KINDS.get(name, (kind,)):
            continue
        told = name == "Augment" and kind in ("image", "table", "bag", "sequence")
        option = Option(name, DOSES.get(name), {"kind": kind} if told else {})
        serving, reason = _serving(option, refuse)
        if serving is None:
            refused.append(sentence_on(name, reason))
        else:
            options[name] = serving
    return Space(MappingProxyType(options), tuple(refused))


def sentence_on(refused: str, reason: str) -> Said:
    """Return a sentence on a remedy or recipe that cannot serve the network."""
    return say("{remedy} was left out: {reason}", remedy=refused, reason=reason)


def rounded(value: float) -> float:
    """Return a number with two digits."""
    return float(f"{value:.2g}")


def _serving(option: Option, refuse: Refuse) -> tuple[Option | None, str]:
    """Return the option with the choices of its dose that serve, or None and why none does."""
    dose = option.dose
    if dose is None or not dose.choices:
        reason = refuse((option.spec(0.5),))
        return (None, reason) if reason else (option, "")
    reasons = {c: refuse((option.spec(dose.place(c)),)) for c in dose.choices}
    kept = tuple(c for c, reason in reasons.items() if reason is None)
    if not kept:
        return None, reasons[dose.choices[0]] or ""
    return replace(option, dose=replace(dose, choices=kept)), ""


def _unit() -> Any:
    return require("optuna").distributions.FloatDistribution(0.0, 1.0)


def _choice(group: tuple[str, ...]) -> Any:
    return require("optuna").distributions.CategoricalDistribution((OFF, *group))
