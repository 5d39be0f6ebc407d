"""Batch norm where a batch is no fair sample: few rows, or the states of a recurrence."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import ClassVar, final

from fitwell.detectors.outcome import is_tried, went_well
from fitwell.errors import in_range
from fitwell.interfaces import Detector
from fitwell.records import Finding, NormFact, Quantity, Severity, Trace
from fitwell.words import say

_ONE_VALUE = re.compile(r"Expected more than 1 value per channel when training")


@final
@dataclass(frozen=True, slots=True)
class SmallBatchNorm(Detector):
    """Report batch norm over batches of so few rows that its statistics are noise.

    With n rows the mean of a batch is off by 1/√n standard deviations: a quarter at 16 rows, a half
    at 4. In training every row is disturbed by the others of its batch; in evaluation the running
    statistics take their place, and the network meets values that it was never trained on. A batch
    of one row has no statistics at all: torch raises.

    Definition: a batch norm saw fewer than ``min_rows`` rows, and its statistics are as noisy as
    that: the mean of a batch lies ``max_drift`` or more running standard deviations from the
    running mean, by the median over the later half of the steps. Pixels of a map count as far as
    they are independent, which is what the drift measures. Before training, and where no drift was
    read, rows alone are judged.

    Severity: severe at ``few_rows`` and below, or if torch raised; else moderate. Mild where the
    run went well: training loss well below a constant guess's, and validation close behind it.

    Evidence: ``rows``; ``drift``, where it was read.

    Args:
        min_rows: Least number of rows, at least 2. Wu and He see the error rise from 16 down.
        few_rows: At so many rows and fewer it is severe; in their figure 1 the error at 4 rows is
            3 points above that at 32, at 2 rows 10 points.
        max_drift: Largest tolerated drift, in running standard deviations: 1/√16.

    Raises:
        ThresholdError: If an argument is out of range.

    References:
        Wu and He, "Group normalization", ECCV 2018. Ioffe, "Batch renormalization", 2017.
    """

    condition: ClassVar[str] = "small_batch_norm"
    min_rows: int = 16
    few_rows: int = 4
    max_drift: float = 0.25

    def __post_init__(self) -> None:
        in_range("min_rows", self.min_rows, 2, math.inf)
        in_range("few_rows", self.few_rows, 1, math.inf)
        in_range("max_drift", self.max_drift, 0, math.inf)

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding, or none."""
        if _ONE_VALUE.search(trace.facts.error):
            yield self._raised(trace)
            return
        norms = [n for n in trace.facts.norms if n.kind == "batch" and not n.recurrent]
        drifts = {norm.name: _drift(trace, norm) for norm in norms}
        small = [
            norm
            for norm in norms
            if 0 < norm.rows < self.min_rows and not drifts[norm.name] < self.max_drift
        ]
        if not small:
            return
        rows = min(norm.rows for norm in small)
        worst = max((d for d in (drifts[n.name] for n in small) if not math.isnan(d)), default=None)
        yield Finding(
            condition=self.condition,
            severity=self._severity(trace, rows),
            confidence=0.85 if worst is not None else 0.7,
            layers=tuple(norm.name for norm in small),
            since=None,
            evidence={"rows": float(rows), **({} if worst is None else {"drift": worst})},
            explanation=say(
                "Batch norm takes its statistics from {rows} rows at a time: their mean is off "
                "by about {off} standard deviations, and evaluation runs on other statistics than "
                "training.",
                rows=rows,
                off=f"{worst or 1 / math.sqrt(rows):.1f}",
            ),
            phrase=say("batch norm over {rows} rows", rows=rows),
        )

    def _severity(self, trace: Trace, rows: int) -> Severity:
        if went_well(trace):
            return "mild"
        return "severe" if rows <= self.few_rows else "moderate"

    def _raised(self, trace: Trace) -> Finding:
        return Finding(
            condition=self.condition,
            severity="severe",
            confidence=1.0,
            layers=tuple(norm.name for norm in trace.facts.norms if norm.kind == "batch"),
            since=None,
            evidence={"rows": 1.0},
            explanation=say(
                "Batch norm was given a batch of one row, which has no statistics, and raised: "
                "{error}.",
                error=trace.facts.error.splitlines()[0].rstrip("."),
            ),
            advice=say(
                "Give batches of 16 rows or more, with drop_last=True in the DataLoader so that "
                "none of one row is left over."
            ),
            phrase=say("batch norm over one row"),
        )


@final
@dataclass(frozen=True, slots=True)
class RecurrentBatchNorm(Detector):
    """Report batch norm inside a recurrence.

    The states of a recurrent network change their statistics from step to step, above all over the
    first ones. A batch norm that is called once a time step keeps one running mean for all of
    them; one that takes states over time as its batch mixes them: evaluation then runs on
    statistics that fit no step. Sequences padded to one length and states of one row, which are
    alike, add to it.

    Definition: a batch norm with ``recurrent`` set in the facts: called more than once a forward
    pass inside a loop that feeds on itself, or given the states of a recurrent layer.

    Severity: severe if it is called once a time step, moderate otherwise. In a run that went well,
    validation included, one step milder: a network of eight steps learned with it, and was left
    behind by the same one without.

    Evidence: ``calls`` a forward pass; ``drift`` between the steps' statistics and the running
    ones, in running standard deviations, where it was read.

    There is no limit to choose.

    References:
        Laurent et al., "Batch normalized recurrent neural networks", ICASSP 2016. Cooijmans et al.,
        "Recurrent batch normalization", ICLR 2017, who keep statistics for every time step.
    """

    condition: ClassVar[str] = "recurrent_batch_norm"

    def detect(self, trace: Trace) -> Iterable[Finding]:
        """Return one finding, or none."""
        norms = [n for n in trace.facts.norms if n.kind == "batch" and n.recurrent]
        if not norms:
            return
        calls = max(norm.calls for norm in norms)
        drifts = [d for d in (_drift(trace, norm) for norm in norms) if not math.isnan(d)]
        inside = calls > 1
        yield Finding(
            condition=self.condition,
            severity=_recurrent_severity(inside=inside, well=went_well(trace)),
            confidence=0.85 if inside and is_tried(trace) else 0.7,
            layers=tuple(norm.name for norm in norms),
            since=None,
            evidence={
                "calls": float(calls),
                **({"drift": max(drifts)} if drifts else {}),
            },
            explanation=(
                say(
                    "Batch norm stands in a recurrence and is called {calls} times a pass: the "
                    "states of all time steps share one running mean and deviation, which fit none "
                    "of them in evaluation.",
                    calls=calls,
                )
                if inside
                else say(
                    "Batch norm stands in a recurrence: the states of all time steps share one "
                    "running mean and deviation, which fit none of them in evaluation."
                )
            ),
            phrase=say("batch norm in a recurrence"),
        )


def _recurrent_severity(*, inside: bool, well: bool) -> Severity:
    if inside:
        return "moderate" if well else "severe"
    return "mild" if well else "moderate"


def _drift(trace: Trace, norm: NormFact) -> float:
    """Median drift over the later half of the steps, or NaN where none was read.

    At first the running statistics are 0 and 1, whatever the batches are like.
    """
    found = [
        (step, value)
        for step, value in trace.series(Quantity.STATISTICS_DRIFT, norm.name)
        if math.isfinite(value)
    ]
    late: Sequence[tuple[int, float]] = found[len(found) // 2 :]
    settled = [value for step, value in late if step * max(norm.momentum, 0.01) >= 1]
    return median(settled) if settled else math.nan
