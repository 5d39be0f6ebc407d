"""Judge recorded runs, and count what was said rightly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import final

from benchmarks.faults.case import Case
from benchmarks.faults.cases import all_cases
from benchmarks.faults.data import TRACES
from benchmarks.faults.recording import PROCESSES, SEEDS, Recorded, path_of

from fitwell.prescribe import diagnose
from fitwell.records import SEVERITIES, Trace

ALARMING = "moderate"
"""A finding counts from this severity on: a mild one is a remark, and no alarm."""

LAGS = (0, 1, 2, 3, 5, 8, 12, 16, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480)
"""Steps after a fault is visible at which a trace is cut off and judged."""


@final
@dataclass(frozen=True)
class Said:
    """One finding: what of it is scored."""

    condition: str
    severity: str
    layers: tuple[str, ...]
    since: int | None
    caused_by: str
    explanation: str

    @property
    def alarming(self) -> bool:
        """Whether it counts."""
        return SEVERITIES.index(self.severity) >= SEVERITIES.index(ALARMING)


@final
@dataclass(frozen=True)
class Judged:
    """What was said of one run, next to what is true of it.

    Args:
        case: Name of the case.
        seed: Seed of the run.
        said: The findings, in order.
        lag: Steps from where the fault is visible to the first right finding; None if there is
            none, or if it was not asked for.
    """

    case: str
    seed: int
    said: tuple[Said, ...]
    lag: int | None = None

    @property
    def alarms(self) -> tuple[Said, ...]:
        """Findings that count."""
        return tuple(said for said in self.said if said.alarming)

    @property
    def roots(self) -> tuple[Said, ...]:
        """Alarms that no other finding explains."""
        return tuple(said for said in self.alarms if not said.caused_by)

    def right(self, case: Case) -> Said | None:
        """The alarm that names a right condition, the first if there are several."""
        return next((said for said in self.alarms if said.condition in case.causes), None)

    def root_right(self, case: Case) -> bool:
        """Whether the diagnosis begins with a right condition."""
        return bool(self.alarms) and self.alarms[0].condition in case.causes

    def layers_right(self, case: Case) -> bool:
        """Whether half the layers that a right finding names are faulty, and it names half of them.

        Where several conditions are right, one of their findings is enough.
        """
        return any(
            2 * len(set(said.layers) & set(case.layers))
            >= max(len(set(said.layers)), len(set(case.layers)))
            for said in self.alarms
            if said.condition in case.causes
        )


def judge(trace: Trace) -> tuple[Said, ...]:
    """Diagnose a trace."""
    return tuple(
        Said(
            f.condition,
            f.severity,
            tuple(f.layers),
            f.since,
            f.cause.condition if f.cause else "",
            f.explanation,
        )
        for f in diagnose(trace)
    )


def cut(trace: Trace, step: int) -> Trace:
    """Return what was known right after a step: its rows, and no exception that came later."""
    rows = [row for row in trace.rows if row.step <= step]
    whole = len(rows) == len(trace.rows)
    return Trace(rows, trace.facts if whole else replace(trace.facts, error=""))


def judged(case: Case, recorded: Recorded, *, lag: bool = False) -> Judged:
    """Judge one recorded run."""
    trace = recorded.trace if recorded.trace is not None else Trace()
    found = Judged(case.name, recorded.seed, judge(trace))
    if not lag or not case.condition or found.right(case) is None:
        return found
    for after in LAGS:
        at = case.visible_at + after
        if at >= (trace.rows[-1].step if trace.rows else 0):
            break
        if Judged(case.name, recorded.seed, judge(cut(trace, at))).right(case):
            return replace(found, lag=after)
    return replace(found, lag=max(0, trace.rows[-1].step - case.visible_at))


def judge_all(cases: Iterable[Case], *, lag: bool = False, root: Path = TRACES) -> Iterator[Judged]:
    """Judge every recorded run of the cases; a run without a trace has an outcome alone."""
    jobs = [
        (case.name, str(path), lag)
        for case in cases
        for seed in range(SEEDS)
        if (path := path_of(case, seed, root)).exists()
    ]
    with get_context("spawn").Pool(PROCESSES) as pool:
        yield from (run for run in pool.imap(_job, jobs, chunksize=4) if run is not None)


def _job(given: tuple[str, str, bool]) -> Judged | None:
    name, path, lag = given
    case = next(case for case in all_cases() if case.name == name)
    recorded = Recorded.load(Path(path))
    return judged(case, recorded, lag=lag) if recorded.trace is not None else None


@final
@dataclass(frozen=True)
class Score:
    """One line of the table: shares in [0, 1], or None where there is nothing to count.

    Args:
        name: Condition, or ``"healthy"``, or ``"all sick"``.
        cases: Number of cases.
        runs: Number of runs.
        found: Share of the runs with an alarm that names a right condition (healthy: share with
            no alarm at all).
        precision: Of the runs in which the condition was named as a root, the share in which it
            is a right answer.
        root: Share of the runs whose diagnosis begins with a right condition.
        layers: Share of the runs with a fault in some layers that name them rightly.
        lag: Median steps to the first right finding.
    """

    name: str
    cases: int
    runs: int
    found: float | None
    precision: float | None = None
    root: float | None = None
    layers: float | None = None
    lag: float | None = None


def scores(cases: Sequence[Case], runs: Sequence[Judged]) -> list[Score]:
    """Count by condition; then all sick runs, then all healthy ones."""
    known = {case.name: case for case in cases}
    mine = [(known[run.case], run) for run in runs if run.case in known]
    conditions = list(dict.fromkeys(case.condition for case, _ in mine if case.condition))
    table = [
        replace(
            _score(name, [(c, r) for c, r in mine if c.condition == name]),
            precision=_precision(name, mine),
        )
        for name in sorted(conditions)
    ]
    sick = [(case, run) for case, run in mine if case.condition]
    well = [(case, run) for case, run in mine if not case.condition]
    peace = _share([not run.alarms for _, run in well])
    return [
        *table,
        _score("all sick", sick),
        Score("healthy", len({case.name for case, _ in well}), len(well), peace),
    ]


def _score(name: str, mine: Sequence[tuple[Case, Judged]]) -> Score:
    placed = [(case, run) for case, run in mine if case.layers]
    lags = [run.lag for _, run in mine if run.lag is not None]
    return Score(
        name,
        len({case.name for case, _ in mine}),
        len(mine),
        _share([run.right(case) is not None for case, run in mine]),
        root=_share([run.root_right(case) for case, run in mine]),
        layers=_share([run.layers_right(case) for case, run in placed]),
        lag=median(lags) if lags else None,
    )


def _precision(name: str, mine: Sequence[tuple[Case, Judged]]) -> float | None:
    named = [case for case, run in mine if any(said.condition == name for said in run.roots)]
    return _share([name in case.causes for case in named])


def _share(right: Sequence[bool]) -> float | None:
    return sum(right) / len(right) if right else None
