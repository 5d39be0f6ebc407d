"""Whether the remedy is right: what a diagnosis recommends is done, and the run repeated.

For every recorded sick run, the first remedy that its diagnosis names is applied, then, if the
outcome is not that of the repaired twin, the second and the third. A run counts as repaired if its
outcome is no worse than a further run of the twin would be, with 97.5 % probability.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, stdev
from time import perf_counter
from typing import final

from benchmarks.faults.case import Case
from benchmarks.faults.cases import all_cases
from benchmarks.faults.data import TRACES
from benchmarks.faults.proof import T_975, WORST
from benchmarks.faults.reading import outcomes
from benchmarks.faults.recording import PROCESSES, SEEDS, Recorded, path_of, run, twin_of
from benchmarks.faults.scoring import ALARMING
from benchmarks.faults.sources import source_hash
from benchmarks.faults.treating import Applied

from fitwell.errors import FitwellError
from fitwell.prescribe import diagnose
from fitwell.records import SEVERITIES, Diagnosis, RemedySpec, Trace

TRIES = 3
"""So many remedies of a diagnosis are tried, one after another."""

REPAIRS = TRACES / "repairs"
"""Where the outcomes of treated runs lie, one file a run and remedy; not under version control."""


@final
@dataclass(frozen=True)
class Repair:
    """What the recommendations for one sick run were worth.

    Args:
        case: Name of the case.
        seed: Seed of the run.
        root: Condition that the diagnosis begins with, or "".
        code: Whether the diagnosis advises to change the code, and names no remedy.
        advised: Whether such an advice is right: its condition, and its layers where there are.
        tried: The remedies, in order.
        outcomes: What each led to, or NaN where it could not be applied.
        repaired: Number of the remedy that repaired the run, from 1; 0 if none did.
        gain: Share of the gap between the sick run and the twin that the first remedy closed, in
            [-1, 1].
        seconds: Time from the recorded trace to the repaired run: the diagnosis and all tries.
    """

    case: str
    seed: int
    root: str
    code: bool
    advised: bool
    tried: tuple[str, ...] = ()
    outcomes: tuple[float, ...] = ()
    repaired: int = 0
    gain: float = 0.0
    seconds: float = 0.0


def prescribed(diagnosis: Diagnosis) -> tuple[RemedySpec, ...]:
    """Return the remedies of a diagnosis, in the order of its alarms, each once."""
    least = SEVERITIES.index(ALARMING)
    found = [f for f in diagnosis if SEVERITIES.index(f.severity) >= least]
    return tuple(dict.fromkeys(spec for finding in found for spec in finding.remedies))


def repair_all(cases: Iterable[Case], *, seeds: int = 2, root: Path = TRACES) -> Iterator[Repair]:
    """Try the remedies for every recorded sick run whose twin is recorded."""
    jobs = [
        (case.name, seed, str(root))
        for seed in range(seeds)
        for case in cases
        if case.condition and path_of(case, seed, root).exists() and len(_twins(case, root)) >= 2
    ]
    with get_context("spawn").Pool(PROCESSES) as pool:
        yield from pool.imap_unordered(_job, jobs)


def _job(given: tuple[str, int, str]) -> Repair:
    name, seed, root = given
    case = next(case for case in all_cases() if case.name == name)
    return repair(case, seed, root=Path(root))


def repair(case: Case, seed: int, *, root: Path = TRACES) -> Repair:
    """Diagnose a recorded run, and try what is recommended until it is repaired."""
    recorded = Recorded.load(path_of(case, seed, root))
    began = perf_counter()
    diagnosis = diagnose(recorded.trace if recorded.trace is not None else Trace())
    spent = perf_counter() - began
    specs = prescribed(diagnosis)
    least = SEVERITIES.index(ALARMING)
    first = next((f for f in diagnosis if SEVERITIES.index(f.severity) >= least), None)
    if first is None or (not first.remedies and first.advice):
        right = first is not None and first.condition in case.causes and (
            not case.layers or bool(set(first.layers) & set(case.layers))
        )  # fmt: skip
        condition = first.condition if first is not None else ""
        return Repair(case.name, seed, condition, first is not None, right, seconds=spent)
    bound = _bound(_twins(case, root), case.outcome)
    values: list[float] = []
    for spec in specs[:TRIES]:
        value, seconds = treated(case, seed, spec, root=root)
        values.append(value)
        spent += seconds
        if no_worse(value, bound, case.outcome):
            break
    sick, twin = outcomes(path_of(case, seed, root)), fmean(_twins(case, root))
    return Repair(
        case.name,
        seed,
        first.condition,
        code=False,
        advised=False,
        tried=tuple(str(spec) for spec in specs[: len(values)]),
        outcomes=tuple(values),
        repaired=len(values) if values and no_worse(values[-1], bound, case.outcome) else 0,
        gain=_gain((sick or {}).get(case.outcome, math.nan), twin, values, case.outcome),
        seconds=spent,
    )


def treated(case: Case, seed: int, spec: RemedySpec, *, root: Path = TRACES) -> tuple[float, float]:
    """Return the outcome of a run with a remedy, and its seconds; NaN if it cannot be applied."""
    text = f"{source_hash(case)}{json.dumps(spec.to_dict(), sort_keys=True)}"
    kept = root / "repairs" / case.name / f"{seed}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if kept.exists():
        value, seconds = json.loads(kept.read_text())
        return float(value), float(seconds)
    began = perf_counter()
    try:
        found = run(case, seed, watched=False, treatment=Applied(spec, seed=seed)).outcome
    except FitwellError:
        found = {case.outcome: math.nan}
    value, seconds = found.get(case.outcome, math.inf), perf_counter() - began
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps([repr(value), seconds]))
    return value, seconds


def no_worse(value: float, bound: float, outcome: str) -> bool:
    """Whether an outcome reaches the bound."""
    if not math.isfinite(value):
        return False
    return value <= bound if outcome.endswith("loss") else value >= bound


def _twins(case: Case, root: Path) -> list[float]:
    """Outcomes of the repaired twin, over the seeds."""
    found = (outcomes(path_of(twin_of(case), seed, root)) for seed in range(SEEDS))
    return [numbers[case.outcome] for numbers in found if numbers and case.outcome in numbers]


def _bound(twins: Sequence[float], outcome: str) -> float:
    """The worse end of the interval in which a further run of the twin lies."""
    margin = T_975[len(twins)] * stdev(twins) * math.sqrt(1 + 1 / len(twins))
    return fmean(twins) + (margin if outcome.endswith("loss") else -margin)


def _gain(sick: float, twin: float, values: Sequence[float], outcome: str) -> float:
    """Share of the gap that the first remedy closed; of losses, in logarithms."""
    if not values or math.isnan(values[0]):
        return 0.0
    low, mid, high = (_placed(value, outcome) for value in (sick, values[0], twin))
    return max(-1.0, min(1.0, (mid - low) / (high - low))) if high > low else 0.0


def _placed(value: float, outcome: str) -> float:
    if not outcome.endswith("loss"):
        return value if math.isfinite(value) else 0.0
    return -math.log(max(1e-9, min(value, WORST) if math.isfinite(value) else WORST))


def save(repairs: Sequence[Repair], root: Path = TRACES) -> None:
    """Keep the results of a sweep, for the page."""
    data = [asdict(repair) for repair in sorted(repairs, key=lambda r: (r.case, r.seed))]
    for entry in data:
        entry["outcomes"] = [repr(value) for value in entry["outcomes"]]
    (root / "repairs.json").write_text(json.dumps(data, indent=1))


def load(root: Path = TRACES) -> list[Repair]:
    """Return what :func:`save` kept; nothing if there is nothing."""
    path = root / "repairs.json"
    if not path.exists():
        return []
    return [
        Repair(
            **{
                **entry,
                "tried": tuple(entry["tried"]),
                "outcomes": tuple(map(float, entry["outcomes"])),
            }
        )
        for entry in json.loads(path.read_text())
    ]
