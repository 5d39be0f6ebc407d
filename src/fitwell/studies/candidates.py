"""Which recipes a search tries: what the diagnosis names, combined, and then varied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from random import Random
from typing import Any, TypeAlias, final

from fitwell.recipe import Recipe
from fitwell.records import Diagnosis, Finding, RemedySpec
from fitwell.studies.job import Job

Specs: TypeAlias = tuple[RemedySpec, ...]

RATES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Learning rates, as multiples of the task's own, that an arm may move to, one step at a time."""

LADDERS: Mapping[str, tuple[str, Any, tuple[Any, ...]]] = {
    "AdaptiveClip": ("max_ratio", 0.01, (0.003, 0.01, 0.03, 0.1)),
    "Activation": ("kind", "relu", ("relu", "leaky_relu", "gelu", "silu")),
    "Augment": ("strength", 0.5, (0.15, 0.3, 0.5, 0.75, 1.0)),
    "ClipNorm": ("max_norm", 1.0, (0.1, 0.3, 1.0, 3.0, 10.0)),
    "ClipValue": ("max_value", 0.5, (0.02, 0.1, 0.5, 2.0)),
    "CutMix": ("alpha", 1.0, (0.2, 0.5, 1.0)),
    "Dropout": ("rate", 0.5, (0.1, 0.2, 0.35, 0.5, 0.65)),
    "GroupNorm": ("groups", 32, (1, 4, 8, 32)),
    "Initialization": ("scheme", "auto", ("auto", "orthogonal")),
    "L1": ("strength", 1e-4, (1e-4, 1e-3, 1e-2, 1e-1)),
    "L2": ("strength", 1e-2, (1e-3, 1e-2, 1e-1, 0.5, 2.0)),
    "LabelSmoothing": ("amount", 0.1, (0.05, 0.1, 0.2, 0.3)),
    "LearningRate": ("warmup", 100, (30, 100, 300)),
    "Mixup": ("alpha", 0.2, (0.1, 0.2, 0.4, 1.0)),
    "PercentileClip": ("percentile", 10.0, (10.0, 50.0, 90.0)),
    "Prune": ("share", 0.3, (0.1, 0.2, 0.3, 0.5, 0.7)),
    "Shrink": ("width", 0.5, (0.125, 0.25, 0.5, 0.75)),
    "WeightAverage": ("decay", 0.999, (0.9, 0.97, 0.99, 0.999)),
}
"""The dose of a remedy: its argument, the default, and the steps of the ladder."""

TOGETHER: Mapping[str, tuple[tuple[str, ...], ...]] = {
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
        ("Augment",),
        ("Dropout", "L2"),
        ("Augment", "BatchNorm"),
        ("Augment", "Dropout"),
        ("Dropout", "LabelSmoothing"),
        ("Mixup", "WeightAverage"),
    ),
}
"""Remedies that go together against a condition, the most promising first. Only those that the
diagnosis names are used; for other conditions the first one, two and three that it names."""

STARTS: Mapping[str, Mapping[str, Any]] = {
    "Augment": {"strength": 0.3},
    "Dropout": {"rate": 0.35},
    "WeightAverage": {"decay": 0.99},
}
"""Doses to begin with where the diagnosis names none: mild ones, since remedies come together."""

FIRST = 8
"""Recipes of the first generation; what is not among them comes in as a variation."""

APART = (
    frozenset({"BatchNorm", "GroupNorm", "LayerNorm"}),
    frozenset({"ClipNorm", "ClipValue", "AdaptiveClip", "PercentileClip"}),
    frozenset({"Initialization", "LSUV"}),
    frozenset({"Mixup", "CutMix"}),
)
"""Remedies that stand in for each other: a recipe holds one of them at most."""

FOR_KINDS: Mapping[str, frozenset[str]] = {"CutMix": frozenset({"image", "sequence"})}
"""Remedies that are tried on rows of some kinds alone."""

NOT_SEARCHED = frozenset({"EarlyStopping", "FoldBatchNorm", "Prune"})
"""Every arm is scored at its best epoch: stopping early would change nothing but the time. Folding
and pruning are for a network that is trained already."""


@final
@dataclass(frozen=True)
class Candidate:
    """A recipe at a learning rate; no remedy at all is the untreated network."""

    recipe: Specs = ()
    rate: float = 1.0

    def job(self, seed: int) -> Job:
        """Return its run of that seed, scored on validation."""
        return Job(self.recipe, seed, self.rate, arm=label(self.recipe))

    def at(self, step: int) -> Candidate | None:
        """Return it with the rate that many steps higher, or None beyond the ends."""
        rate = _moved(RATES, self.rate, step)
        return None if rate is None else replace(self, rate=rate)


def label(recipe: Sequence[RemedySpec]) -> str:
    """Return a short name: the remedies, or ``untreated``."""
    return " + ".join(spec.name for spec in recipe) or "untreated"


def remedies_named(diagnosis: Diagnosis, kind: str) -> dict[str, RemedySpec]:
    """Return the remedies of all findings by name, in order, the first of a name.

    Args:
        diagnosis: What was found.
        kind: What the rows are, so that augmentation need not guess a bag from a table.
    """
    named: dict[str, RemedySpec] = {}
    for spec in chain.from_iterable(finding.remedies for finding in diagnosis):
        if spec.name in NOT_SEARCHED or kind not in FOR_KINDS.get(spec.name, (kind,)):
            continue
        if spec.name == "Augment" and kind in ("image", "table", "bag", "sequence"):
            spec = RemedySpec(spec.name, {**spec.args, "kind": kind})
        dosed = {**STARTS.get(spec.name, {}), **spec.args}
        named.setdefault(spec.name, RemedySpec(spec.name, dosed))
    return named


def first_generation(diagnosis: Diagnosis, named: Mapping[str, RemedySpec]) -> list[Candidate]:
    """Return the recipes to begin with, the most promising first, each once, at most eight.

    Combinations of every finding in turn, then what the findings name first taken together, then
    remedies by themselves.
    """
    plans = [list(_together(finding)) for finding in diagnosis]
    combined = [plan for group in zip_longest(*plans) for plan in group if plan]
    firsts = tuple(dict.fromkeys(plan[0] for plan in plans if plan))
    union = tuple(dict.fromkeys(chain.from_iterable(firsts)))
    wanted = [*combined[: len(plans)], union, *combined[len(plans) :], *((n,) for n in named)]
    recipes = (_recipe(named[name] for name in plan if name in named) for plan in wanted)
    return [Candidate(recipe) for recipe in dict.fromkeys(recipes) if recipe][:FIRST]


def next_generation(
    leaders: Sequence[Candidate],
    named: Mapping[str, RemedySpec],
    seen: Iterable[Candidate],
    *,
    size: int,
    number: int,
) -> list[Candidate]:
    """Return untried variations of the leaders: another rate, dose, or one remedy more or less.

    Args:
        leaders: The best so far, the best first; each gets its turn.
        named: Remedies that may be added.
        seen: Candidates that were tried already.
        size: Largest number returned.
        number: Number of the generation; the only source of chance.
    """
    random = Random(number)  # noqa: S311
    tried = set(seen)
    variations = [
        [c for c in _variations(leader, named, random) if c not in tried] for leader in leaders
    ]
    turns = (c for group in zip_longest(*variations) for c in group if c is not None)
    return list(dict.fromkeys(turns))[:size]


def _together(finding: Finding) -> Iterator[tuple[str, ...]]:
    names = [s.name for s in finding.remedies if s.name not in NOT_SEARCHED]
    plans = TOGETHER.get(finding.condition) or tuple(tuple(names[:n]) for n in (2, 1, 3))
    for plan in plans:
        kept = tuple(name for name in plan if name in names)
        if kept:
            yield kept


def _recipe(specs: Iterable[RemedySpec]) -> Specs:
    """Return the specs in canonical order, without those that another stands in for."""
    kept: list[RemedySpec] = []
    for spec in specs:
        rivals = {name for group in APART if spec.name in group for name in group}
        if not any(other.name == spec.name or other.name in rivals for other in kept):
            kept.append(spec)
    return tuple(Recipe(*kept).specs)


def _variations(
    leader: Candidate, named: Mapping[str, RemedySpec], random: Random
) -> Iterator[Candidate]:
    """Yield variations in a random order: a dose or rate and an addition in turn, removals last."""
    moved = [c for c in (leader.at(-1), leader.at(1)) if c is not None]
    grown, removed = [], []
    for index, spec in enumerate(leader.recipe):
        rest = leader.recipe[:index] + leader.recipe[index + 1 :]
        moved += [replace(leader, recipe=_recipe((*rest, dosed))) for dosed in _doses(spec)]
        if rest:
            removed.append(replace(leader, recipe=rest))
    held = {spec.name for spec in leader.recipe}
    for name, spec in named.items() if leader.recipe else ():
        recipe = _recipe((*leader.recipe, spec))
        if name not in held and recipe != leader.recipe:
            grown.append(replace(leader, recipe=recipe))
    for group in (moved, grown, removed):
        random.shuffle(group)
    yield from (c for pair in zip_longest(moved, grown) for c in pair if c is not None)
    yield from removed


def _doses(spec: RemedySpec) -> Iterator[RemedySpec]:
    """Yield the remedy one step up and one step down its ladder."""
    if spec.name not in LADDERS:
        return
    argument, default, steps = LADDERS[spec.name]
    now = spec.args.get(argument, default)
    for step in (-1, 1):
        dose = _moved(steps, now, step)
        if dose is not None:
            yield RemedySpec(spec.name, {**spec.args, argument: dose})


def _moved(steps: Sequence[Any], now: Any, step: int) -> Any | None:
    """Return what stands ``step`` places from ``now``, or from what is nearest to it."""
    if now in steps:
        place = steps.index(now)
    elif isinstance(now, str):
        return steps[0]
    else:
        place = min(range(len(steps)), key=lambda i: abs(steps[i] - now))
    return steps[place + step] if 0 <= place + step < len(steps) else None
