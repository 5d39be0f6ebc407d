"""Which finding explains which: the table says what may, the run says what did.

A link needs more than two conditions that often go together. What explains must have begun before
what it explains, must still hold when that begins, must not be mild where the other is severe, and
must fit its layers and its numbers. So two illnesses stay two, and one is named once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fitwell.records import Finding

SLACK = 20
"""Steps by which an effect may seem to begin before its cause. Detectors date what they see by
medians over a few sampled steps, and a curve bends later than the gradient behind it."""

STANDING = frozenset(
    {
        *("loss_output_mismatch", "accumulated_gradients", "untrained_parameters", "wrong_mode"),
        *("unscaled_inputs", "bad_initialization", "distribution_shift", "small_batch_norm"),
        *("recurrent_batch_norm", "learning_rate_too_high", "learning_rate_too_low"),
    }
)
"""Conditions that are there from the first step on, whenever they were noticed."""

OUTCOMES = frozenset({"underfitting", "not_learning", "overfitting", "oscillating_loss"})
"""Conditions that describe how a whole run went: everything found in it came before its end."""

BY_STEPS = frozenset({"learning_rate_too_high", "accumulated_gradients"})
"""Conditions that act through updates: what the first forward or backward pass shows already is
not their doing."""

_HELD_BACK = frozenset({"narrowest", "dropout", "weight_decay"})
"""What a finding of underfitting carries where it knows what holds the network back."""

_UNITS = frozenset({"dead_units", "saturated_units"})


def linked(
    found: Sequence[Finding], explains: Mapping[str, Sequence[str]], layers: Sequence[str] = ()
) -> tuple[Finding, ...]:
    """Return the findings in their order, each with the finding that explains it directly.

    Args:
        found: Findings in the order of the table: roots before what they explain.
        explains: Condition to the conditions that it may bring about.
        layers: Names of the layers in order of execution, as far as they are known.

    Returns:
        Copies whose ``cause`` is, of the findings that explain them, the one nearest in the
        table: so a huge step that kills units that then stop the learning is a chain of three.
    """
    parents: dict[int, int] = {}
    for place, effect in enumerate(found):
        for other in _nearest_first(place, len(found)):
            cause = found[other]
            may = effect.condition in explains.get(cause.condition, ())
            if may and place not in _line(other, parents) and fits(cause, effect, layers):
                parents[place] = other
                break
    made: dict[int, Finding] = {}
    return tuple(_made(place, found, parents, made) for place in range(len(found)))


def fits(cause: Finding, effect: Finding, layers: Sequence[str] = ()) -> bool:
    """Whether what is known of two findings lets the first explain the second.

    Args:
        cause: What may explain.
        effect: What may be explained by it.
        layers: Names of the layers in order of execution, as far as they are known.
    """
    if cause.severity == "mild" and effect.severity == "severe":
        return False
    return _in_time(cause, effect) and _in_place(cause, effect, layers) and _in_kind(cause, effect)


def _in_time(cause: Finding, effect: Finding) -> bool:
    if effect.condition in OUTCOMES:
        # What was over long before the end does not explain how the run ended.
        return cause.until is None
    begin = 0 if cause.condition in STANDING else cause.since or 0
    if begin > (effect.since or 0) + SLACK:
        return False
    return cause.until is None or (effect.since or 0) <= cause.until + SLACK


def _in_place(cause: Finding, effect: Finding, layers: Sequence[str]) -> bool:
    """Whether signals could carry it: forward from weights to units, back from units to weights."""
    causes = [layers.index(name) for name in cause.layers if name in layers]
    effects = [layers.index(name) for name in effect.layers if name in layers]
    if not causes or not effects:
        return True
    if cause.condition == "bad_initialization" and effect.condition in _UNITS:
        return min(causes) <= max(effects)
    if cause.condition in _UNITS and effect.condition == "vanishing_gradients":
        return min(effects) <= max(causes)
    return True


def _in_kind(cause: Finding, effect: Finding) -> bool:
    """Whether an effect of that kind, as it shows in its numbers, can come of that cause."""
    first = not effect.since
    if effect.condition in _UNITS:
        share = effect.evidence.get(
            "dead_share" if effect.condition == "dead_units" else "saturated_share", 0.0
        )
        # Units that were silent before the first update were not silenced by one.
        first = effect.evidence.get("first_share", 0.0) >= share / 2
        if cause.condition == "exploding_gradients" and set(effect.layers) & set(cause.layers):
            # Recurrent weights that are too large saturate their units at the first pass already.
            return not first or "time_growth" in cause.evidence
        if cause.condition in (*BY_STEPS, "exploding_gradients"):
            return not first
        return True
    if cause.condition in BY_STEPS and effect.condition not in OUTCOMES:
        return not first
    if cause.condition == "underfitting":
        return bool(_HELD_BACK & set(cause.evidence))
    if effect.condition == "untrained_parameters" and cause.condition == "vanishing_gradients":
        # Weights that get a gradient and do not move, where it is too small to move them.
        return "unmoved" in effect.evidence and set(effect.layers) <= set(cause.layers)
    if cause.condition == "exploding_gradients" and effect.condition == "learning_rate_too_high":
        # A gradient that is too large before the first step makes any rate too high.
        return not cause.since
    return True


def _nearest_first(place: int, count: int) -> list[int]:
    """Places before one, the last first; then those behind it, which explain it by exception."""
    return [*range(place - 1, -1, -1), *range(place + 1, count)]


def _line(place: int, parents: Mapping[int, int]) -> list[int]:
    """A finding and all that leads up to it."""
    line = [place]
    while line[-1] in parents:
        line.append(parents[line[-1]])
    return line


def _made(
    place: int, found: Sequence[Finding], parents: Mapping[int, int], made: dict[int, Finding]
) -> Finding:
    """Build causes before effects, each once, so that a cause is the finding that is named."""
    if place not in made:
        cause = _made(parents[place], found, parents, made) if place in parents else None
        made[place] = replace(found[place], cause=cause)
    return made[place]
