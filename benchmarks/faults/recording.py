"""Run cases under watch, many in a row on two processes, and keep one file a run."""

from __future__ import annotations

import gzip
import json
import math
import random
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any, final

import numpy as np
import torch
from benchmarks.faults.case import Case
from benchmarks.faults.cases import all_cases
from benchmarks.faults.data import TRACES
from benchmarks.faults.lab import Lab, Treatment
from benchmarks.faults.sources import source_hash

from fitwell.records import Trace

SEEDS = 5
"""Runs of every case: as many pairs as the proof of a fault rests on."""

PROCESSES = 2


@final
@dataclass(frozen=True)
class Recorded:
    """What is known of one run.

    Args:
        case: Name of the case.
        seed: Its seed.
        source: Hash of the code that was run.
        seconds: Time that it took.
        outcome: What became of it; empty if it ended by an exception.
        error: What the exception said, or "".
        trace: What the watch recorded; None where the run was not watched.
    """

    case: str
    seed: int
    source: str
    seconds: float
    outcome: dict[str, float]
    error: str
    trace: Trace | None

    def save(self, path: Path) -> None:
        """Write as compressed JSON; the file is whole or absent, and the same each time."""
        data = {**vars(self), "outcome": {k: repr(v) for k, v in self.outcome.items()}}
        data["trace"] = _short(self.trace.to_dict()) if self.trace else None
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(gzip.compress(json.dumps(data).encode(), mtime=0))
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Recorded:
        """Read what :meth:`save` wrote."""
        data: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
        data["outcome"] = {k: float(v) for k, v in data["outcome"].items()}
        data["trace"] = Trace.from_dict(data["trace"]) if data["trace"] else None
        return cls(**data)


def _short(trace: dict[str, Any]) -> dict[str, Any]:
    """Numbers with the seven digits that single precision holds: half the size of the file."""
    values = trace["columns"]["value"]
    short = [value if isinstance(value, str) else float(f"{value:.7g}") for value in values]
    return {**trace, "columns": {**trace["columns"], "value": short}}


def path_of(case: Case, seed: int, root: Path = TRACES) -> Path:
    """Return the file of a run."""
    return root / case.name / f"{seed}.json.gz"


def run(
    case: Case,
    seed: int,
    *,
    watched: bool = True,
    treatment: Treatment | None = None,
    by_budget: bool = False,
) -> Recorded:
    """Run a case once, on one thread."""
    torch.set_num_threads(1)
    random.seed(seed)
    np.random.seed(seed)  # a program of a user may draw from it
    torch.manual_seed(seed)
    lab = Lab(seed, watched=watched, treatment=treatment, by_budget=by_budget)
    outcome, error = {}, ""
    began = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a faulty program warns; what the trace shows is judged
        try:
            outcome = {k: float(v) for k, v in case.run(lab).items()}
        except (RuntimeError, ValueError, IndexError) as raised:
            if not case.condition:
                raise
            error = f"{type(raised).__name__}: {raised}".splitlines()[0]
    took = perf_counter() - began
    return Recorded(case.name, seed, source_hash(case), took, outcome, error, lab.trace)


def twin_of(case: Case) -> Case:
    """Return the repaired twin of a sick case: a healthy case, where there is one like it."""
    for other in all_cases():
        if (
            not other.condition
            and other.program is case.program
            and other.settings == case.twin.settings
        ):
            return other
    return case.twin


def twins(cases: Iterable[Case]) -> list[Case]:
    """Return the repaired twins of the sick cases that are not among the healthy ones."""
    found = {twin_of(case).name: twin_of(case) for case in cases if case.condition}
    return [twin for name, twin in found.items() if "--" in name]


def record(
    cases: Iterable[Case],
    *,
    seeds: int = SEEDS,
    again: bool = False,
    with_twins: bool = True,
    by_budget: bool = False,
    root: Path = TRACES,
) -> Iterator[str]:
    """Run what is not recorded yet, and the repaired twins; yield a line a run."""
    chosen = list(cases)
    healthy = [twin_of(case) for case in chosen if case.condition and with_twins]
    every = {case.name: case for case in (*chosen, *healthy)}.values()
    jobs = [
        (case.name, seed, source_hash(case), str(path_of(case, seed, root)), by_budget)
        for seed in range(seeds)
        for case in every
        if again or is_stale(case, path_of(case, seed, root))
    ]
    with get_context("spawn").Pool(PROCESSES) as pool:
        for done, line in enumerate(pool.imap_unordered(_job, jobs), 1):
            yield f"{done}/{len(jobs)} {line}"


def is_stale(case: Case, path: Path) -> bool:
    """Whether the file is missing or of other code; only the head of the file is read."""
    if not path.exists():
        return True
    with gzip.open(path, "rt") as file:
        return f'"source": "{source_hash(case)}"' not in file.read(400)


def _job(given: tuple[str, int, str, str, bool]) -> str:
    name, seed, source, path, by_budget = given
    known = {case.name: case for case in (*all_cases(), *twins(all_cases()))}
    recorded = run(known[name], seed, watched="--" not in name, by_budget=by_budget)
    recorded = replace(recorded, source=source)  # the file may have been edited meanwhile
    recorded.save(Path(path))
    numbers = "  ".join(f"{key} {value:.4g}" for key, value in recorded.outcome.items())
    finite = all(math.isfinite(value) for value in recorded.outcome.values())
    state = recorded.error or ("" if finite else "not finite")
    return f"{name} #{seed} {recorded.seconds:.1f} s  {numbers} {state}"
