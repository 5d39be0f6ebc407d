"""Units that pass no gradient: dead ones, and saturated ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import ClassVar, final

from fitwell.detectors.curves import has_learned, remaining_loss
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import SEVERITIES, Finding, Quantity, Row, Severity, Trace


@final
@dataclass(frozen=True, slots=True)
class DeadUnits(Detector):
    """Report layers where too many units never fire.

    Definition: a unit is dead if its output was zero for every sample pooled. A dead ReLU
    receives no gradient, so its own weights cannot revive it. Only activations with a flat zero
    side (ReLU, ReLU6) have dead units.

    Natural sparsity is not death: a unit that fires for a few samples only is alive, and a
    trained network keeps some silent units at no cost. Hence the share must be large, over many
    samples, in the last recorded steps; and where the network has learned, or nothing is known of
    learning yet, it must be nearly all of a layer.

    Evidence: ``dead_share`` of the worst layer, ``samples`` pooled, ``first_share`` at the start.

    Args:
        max_dead: Largest tolerated share of dead units in a layer, in [0, 1]. At 0.5 SageMaker
            Debugger calls a layer dead; sound networks of ours ended at 0.3 or
            below.
        max_dead_unproven: The same for a network that has learned, which may be too wide for its
            task and no worse for it, or that has not been trained, in [0, 1]: 8 ReLU layers as
            PyTorch makes them have 0.6 silent on one batch, and learn.
        min_samples: Least number of samples pooled; at least 1. With fewer, rare units look dead.
        window: Number of most recent recorded steps whose median share counts; at least 1.

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Lu et al., "Dying ReLU and Initialization", 2019, arXiv:1903.06733.
    """

    condition: ClassVar[str] = "dead_units"
    max_dead: float = 0.5
    max_dead_unproven: float = 0.9
    min_samples: int = 32
    window: int = 5

    def __post_init__(self) -> None:
        in_range("max_dead", self.max_dead, 0, 1)
        in_range("max_dead_unproven", self.max_dead_unproven, 0, 1)
        in_range("min_samples", self.min_samples, 1, float("inf"))
        in_range("window", self.window, 1, float("inf"))

    def unjudged(self, trace: Trace) -> str | None:
        """Say that no ReLU was observed."""
        return _nothing_seen(trace, Quantity.DEAD_SHARE, "dead_units: no ReLU was observed")

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding for all layers concerned, or none."""
        unproven = has_learned(trace) or remaining_loss(trace) is None
        limit = self.max_dead_unproven if unproven else self.max_dead
        worst: dict[str, float] = {}
        samples, first = 0, 0.0
        since: list[int] = []
        for name in trace.modules(Quantity.DEAD_SHARE):
            rows = _rows(trace, Quantity.DEAD_SHARE, name)
            recent = rows[-self.window :]
            share = median(row.value for row in recent)
            if share <= limit or recent[-1].count < self.min_samples:
                continue
            if share > max(worst.values(), default=0.0):
                samples, first = recent[-1].count, rows[0].value
            worst[name] = share
            since.append(_begin(rows, limit))
        if not worst:
            return ()
        name, share = max(worst.items(), key=_share)
        return (
            Finding(
                condition=self.condition,
                severity=_severity(share, limit),
                confidence=min(0.95, 0.6 + 0.1 * (samples / 128)),
                layers=tuple(worst),
                since=min(since) or None,
                evidence={
                    "dead_share": share,
                    "samples": float(samples),
                    "first_share": first,
                },
                explanation=(
                    f"{share:.0%} of the units of {name} put out zero for every one of the last "
                    f"{samples} samples ({first:.0%} at the start): no gradient reaches their "
                    "weights, so they cannot recover by themselves."
                ),
            ),
        )


@final
@dataclass(frozen=True, slots=True)
class SaturatedUnits(Detector):
    """Report layers whose sigmoid or tanh units are mostly in their flat part.

    Definition: a value is saturated if the slope of its activation is below 0.01 for a sigmoid
    (input beyond ±4.6) or 0.02 for tanh (beyond ±2.65). There hardly any gradient passes. Gates
    and output layers are meant to saturate and are not read.

    A classifier that has learned may saturate because it is sure: that is no illness. Hence a
    finding needs a loss that is still high.

    Evidence: ``saturated_share`` of the worst layer, ``first_share`` at the start.

    Args:
        max_saturated: Largest tolerated share of saturated values in a layer, in [0, 1].
            DeepDiagnosis takes 0.5 too; sound networks of ours began below 0.05.
        window: Number of most recent recorded steps whose median share counts; at least 1.

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
        networks", AISTATS 2010. Wardat et al., "DeepDiagnosis", ICSE 2022.
    """

    condition: ClassVar[str] = "saturated_units"
    max_saturated: float = 0.5
    window: int = 5

    def __post_init__(self) -> None:
        in_range("max_saturated", self.max_saturated, 0, 1)
        in_range("window", self.window, 1, float("inf"))

    def unjudged(self, trace: Trace) -> str | None:
        """Say that no sigmoid or tanh was observed."""
        return _nothing_seen(
            trace,
            Quantity.SATURATED_SHARE,
            "saturated_units: no hidden sigmoid or tanh was observed",
        )

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding for all layers concerned, or none."""
        if has_learned(trace):
            return ()
        worst: dict[str, float] = {}
        since: list[int] = []
        outputs = {fact.name for fact in trace.facts.layers if fact.role == "output"}
        for name in trace.modules(Quantity.SATURATED_SHARE):
            rows = _rows(trace, Quantity.SATURATED_SHARE, name)
            share = median(row.value for row in rows[-self.window :])
            if share > self.max_saturated and name not in outputs:
                worst[name] = share
                since.append(_begin(rows, self.max_saturated))
        if not worst:
            return ()
        name, share = max(worst.items(), key=_share)
        first = _rows(trace, Quantity.SATURATED_SHARE, name)[0].value
        return (
            Finding(
                condition=self.condition,
                severity=_severity(share, self.max_saturated),
                confidence=0.8,
                layers=tuple(worst),
                since=min(since) or None,
                evidence={"saturated_share": share, "first_share": first},
                explanation=(
                    f"{share:.0%} of the values of {name} lie in the flat part of its activation "
                    f"({first:.0%} at the start), where hardly any gradient passes."
                ),
            ),
        )


def _nothing_seen(trace: Trace, quantity: Quantity, sentence: str) -> str | None:
    return None if trace.modules(quantity) else f"{sentence}."


def _rows(trace: Trace, quantity: Quantity, module: str) -> list[Row]:
    return [row for row in trace if row.quantity == quantity and row.module == module]


def _begin(rows: list[Row], limit: float) -> int:
    """First step of the unbroken stretch above the limit that lasts to the end."""
    begin = rows[-1].step
    for row in reversed(rows):
        if row.value <= limit:
            break
        begin = row.step
    return begin


def _share(item: tuple[str, float]) -> float:
    return item[1]


def _severity(share: float, limit: float) -> Severity:
    """In thirds of what lies between the limit and everything."""
    if limit >= 1:
        return SEVERITIES[2]
    return SEVERITIES[min(2, int(3 * (share - limit) / (1 - limit)))]
