"""Units that pass no gradient: dead ones, and saturated ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import ClassVar, NamedTuple, final

from fitwell.detectors.curves import LEARNED_BELOW, remaining_loss
from fitwell.detectors.layers import inputs_are_blank, read_late
from fitwell.detectors.movement import largest_update
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import SEVERITIES, Finding, Quantity, Row, Severity, Trace
from fitwell.words import say

_SILENT = 0.99
"""Share of dead units from which on a layer puts out nothing: what lies behind it cannot be told
dead from starved, and is not named."""


_NARROW = 8
"""Units below which a share says little: two of three may be dead by chance, and the layer is
too narrow in the first place."""


class _Layer(NamedTuple):
    """What is known of the units of one layer."""

    now: float
    first: float
    since: int
    samples: int


@final
@dataclass(frozen=True, slots=True)
class DeadUnits(Detector):
    """Report layers where too many units never fire.

    Definition: a unit is dead if its output was zero for every sample pooled. A dead ReLU
    receives no gradient, so its own weights cannot revive it. Only activations with a flat zero
    side (ReLU, ReLU6) have dead units.

    Natural sparsity is not death: a unit that fires for a few samples only is alive, and a
    trained network keeps some silent units at no cost. Hence the share must be large, over many
    samples, in the last recorded steps; where the network has learned, or nothing is known of
    learning yet, it must be nearly all of a layer; and where the loss has all but gone, nothing
    is dead that was needed.

    Where nothing but zeros enters the network, it is the data that are dead, and no layer is named.
    Behind a layer that is all but dead, little but biases is left, which switch half of the next
    layer's units off for good: such a layer is named only if it too is all but dead; behind one
    that is altogether silent, none is named.

    What killed the units decides on the remedy, and shows in the evidence. ``first_share`` near
    ``dead_share``: they were born dead, by their first biases or by what enters them.
    ``first_share`` small: a step killed them, and ``largest_update`` tells how large it was
    against the weights.

    Evidence: ``dead_share`` of the worst layer, ``samples`` pooled, ``first_share`` at the start,
    ``largest_update`` before it died, relative to the weights, where it was recorded.

    Args:
        max_dead: Largest tolerated share of dead units in a layer, in [0, 1]. At 0.5 SageMaker
            Debugger calls a layer dead; sound networks of ours ended at 0.3 or below.
        max_dead_unproven: The same for a network that has learned, which may be too wide for its
            task and no worse for it, or that has not been trained, in [0, 1]: 8 ReLU layers as
            PyTorch makes them have 0.6 silent on one batch, and learn. Likewise where no unit was
            looked at in the second half of the run: many wake up.
        min_remaining: Share of a constant guess's loss below which nothing is called dead.
        min_samples: Least number of samples pooled; at least 1. With fewer, rare units look dead;
            half as many do where nearly all of a layer is.
        window: Number of most recent recorded steps whose median share counts; at least 1.

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Lu et al., "Dying ReLU and Initialization", 2019, arXiv:1903.06733.
    """

    condition: ClassVar[str] = "dead_units"
    max_dead: float = 0.5
    max_dead_unproven: float = 0.9
    min_remaining: float = 0.1
    min_samples: int = 32
    window: int = 5

    def __post_init__(self) -> None:
        in_range("max_dead", self.max_dead, 0, 1)
        in_range("max_dead_unproven", self.max_dead_unproven, 0, 1)
        in_range("min_remaining", self.min_remaining, 0, 1)
        in_range("min_samples", self.min_samples, 1, math.inf)
        in_range("window", self.window, 1, math.inf)

    def unjudged(self, trace: Trace) -> str | None:
        """Say that no ReLU was observed."""
        seen = trace.modules(Quantity.DEAD_SHARE)
        return None if seen else say("dead_units: no ReLU was observed.")

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding for all layers concerned, or none."""
        left = remaining_loss(trace)
        if (left is not None and left < self.min_remaining) or inputs_are_blank(trace):
            return ()
        limit = self.max_dead
        if left is None or left < LEARNED_BELOW:
            limit = self.max_dead_unproven
        if not read_late(trace, Quantity.DEAD_SHARE):
            limit = max(limit, self.max_dead_unproven)
        read = _layers(trace, Quantity.DEAD_SHARE, self.window, limit)
        dead = _not_behind(
            trace,
            {n: u for n, u in read.items() if self._is_dead(trace, n, u, limit)},
            self.max_dead_unproven,
        )
        if not dead:
            return ()
        name, units = max(dead.items(), key=lambda item: item[1].now)
        since = min(u.since for u in dead.values())
        update = largest_update(trace, tuple(dead), since)
        born = units.first >= units.now / 2
        how = (
            say(
                "most of them before the first update, so it was the first biases or what enters "
                "them"
            )
            if born
            else say(
                "{share} at the start, so it was training that killed them",
                share=f"{units.first:.0%}",
            )
        )
        of = {"share": f"{units.now:.0%}", "layer": name}
        evidence = {
            "dead_share": units.now,
            "samples": float(units.samples),
            "first_share": units.first,
            **({} if update is None else {"largest_update": update}),
        }
        return (
            Finding(
                condition=self.condition,
                severity=_severity(units.now, limit),
                confidence=min(0.95, 0.6 + 0.1 * (units.samples / 128)),
                layers=tuple(dead),
                since=since or None,
                evidence=evidence,
                explanation=say(
                    "{share} of the units of {layer} put out zero for every one of the last "
                    "{samples} samples ({how}): no gradient reaches their weights, so they cannot "
                    "recover by themselves.",
                    **of,
                    samples=units.samples,
                    how=how,
                ),
                phrase=(
                    say("{share} of the units of {layer} are dead from the start", **of)
                    if born
                    else say(
                        "{share} of the units of {layer} are dead from step {step}",
                        **of,
                        step=since,
                    )
                ),
            ),
        )

    def _is_dead(self, trace: Trace, name: str, units: _Layer, limit: float) -> bool:
        fact = trace.facts.layer(name)
        narrow = fact is not None and 0 < fact.units < _NARROW
        limit = max(limit, self.max_dead_unproven) if narrow else limit
        nearly_all = units.now > self.max_dead_unproven
        least = self.min_samples / 2 if nearly_all else self.min_samples
        return units.now > limit and units.samples >= least


@final
@dataclass(frozen=True, slots=True)
class SaturatedUnits(Detector):
    """Report layers whose sigmoid or tanh units are mostly in their flat part.

    Definition: a value is saturated if the slope of its activation is below 0.01 for a sigmoid
    (input beyond ±4.6) or 0.02 for tanh (beyond ±2.65). There hardly any gradient passes. Gates,
    masks and output layers are meant to saturate and are not judged.

    A classifier that has learned may saturate because it is sure: that is no illness. Hence a
    finding needs a loss that is still high, or units that were saturated before the first update,
    when there was nothing yet to be sure of; the latter count until the loss has all but gone.

    Evidence: ``saturated_share`` of the worst layer, ``first_share`` at the start: near it, the
    first weights or the inputs are too large; far below it, training drove the units there, and
    ``largest_update`` tells by how large a step against the weights.

    Args:
        max_saturated: Largest tolerated share of saturated values in a layer, in [0, 1].
            DeepDiagnosis takes 0.5 too; sound networks of ours began below 0.05.
        min_remaining: Share of a constant guess's loss below which nothing is called saturated.
        window: Number of most recent recorded steps whose median share counts; at least 1.

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
        networks", AISTATS 2010. Wardat et al., "DeepDiagnosis", ICSE 2022.
    """

    condition: ClassVar[str] = "saturated_units"
    max_saturated: float = 0.5
    min_remaining: float = 0.1
    window: int = 5

    def __post_init__(self) -> None:
        in_range("max_saturated", self.max_saturated, 0, 1)
        in_range("min_remaining", self.min_remaining, 0, 1)
        in_range("window", self.window, 1, math.inf)

    def unjudged(self, trace: Trace) -> str | None:
        """Say that no sigmoid or tanh was observed."""
        seen = trace.modules(Quantity.SATURATED_SHARE)
        return None if seen else say("saturated_units: no hidden sigmoid or tanh was observed.")

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding for all layers concerned, or none."""
        left = remaining_loss(trace)
        if left is not None and left < self.min_remaining:
            return ()
        meant = {f.name for f in trace.facts.layers if f.role == "output" or f.gated}
        sure = left is not None and left < LEARNED_BELOW
        flat = {
            name: units
            for name, units in _layers(
                trace, Quantity.SATURATED_SHARE, self.window, self.max_saturated
            ).items()
            if name not in meant
            and units.now > self.max_saturated
            and (not sure or units.first > self.max_saturated)
        }
        if not flat:
            return ()
        name, units = max(flat.items(), key=lambda item: item[1].now)
        since = min(u.since for u in flat.values())
        update = largest_update(trace, tuple(flat), since)
        of = {"share": f"{units.now:.0%}", "layer": name}
        return (
            Finding(
                condition=self.condition,
                severity=_severity(units.now, self.max_saturated),
                confidence=0.8,
                layers=tuple(flat),
                since=since or None,
                evidence={
                    "saturated_share": units.now,
                    "first_share": units.first,
                    **({} if update is None else {"largest_update": update}),
                },
                explanation=say(
                    "{share} of the values of {layer} lie in the flat part of its activation "
                    "({first} at the start), where hardly any gradient passes.",
                    **of,
                    first=f"{units.first:.0%}",
                ),
                phrase=(
                    say("{share} of {layer} saturated from step {step}", **of, step=since)
                    if since
                    else say("{share} of {layer} saturated from the start", **of)
                ),
            ),
        )


def _layers(trace: Trace, quantity: Quantity, window: int, limit: float) -> dict[str, _Layer]:
    """Return layer -> median of its last shares, its first one, and since when it is too large."""
    rows: dict[str, list[Row]] = {}
    for row in trace:
        if row.quantity == quantity and row.module:
            rows.setdefault(row.module, []).append(row)
    return {
        name: _Layer(
            median(row.value for row in found[-window:]),
            found[0].value,
            _begin(found, limit),
            found[-1].count,
        )
        for name, found in rows.items()
    }


def _not_behind(trace: Trace, dead: Mapping[str, _Layer], nearly_all: float) -> dict[str, _Layer]:
    """Drop layers that are silent in part because one before them is silent altogether."""
    order = [layer.name for layer in trace.facts.layers]
    ranked = sorted(dead, key=lambda name: order.index(name) if name in order else len(order))
    kept: dict[str, _Layer] = {}
    blocked = False
    for name in ranked:
        if not blocked or dead[name].now > nearly_all:
            kept[name] = dead[name]
        fact = trace.facts.layer(name)
        if fact is not None and fact.bypassed:
            continue
        if dead[name].now >= _SILENT:
            break
        blocked = blocked or dead[name].now > nearly_all
    return kept


def _begin(rows: list[Row], limit: float) -> int:
    """First step of the unbroken stretch above the limit that lasts to the end."""
    begin = rows[-1].step
    for row in reversed(rows):
        if row.value <= limit:
            break
        begin = row.step
    return begin


def _severity(share: float, limit: float) -> Severity:
    """In thirds of what lies between the limit and everything."""
    if limit >= 1:
        return SEVERITIES[2]
    return SEVERITIES[min(2, int(3 * (share - limit) / (1 - limit)))]
