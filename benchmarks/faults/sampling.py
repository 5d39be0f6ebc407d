"""A small part of the recorded runs that is kept under version control, for the quick checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import copyfile

from benchmarks.faults.case import Case
from benchmarks.faults.data import TRACES
from benchmarks.faults.recording import path_of

SAMPLE = Path("tests/detection")
"""Where it lies."""

MAX_BYTES = 1_400_000
"""Its largest size."""

HEALTHY_TURNS = 8
"""Healthy cases are taken so many times as often as those of one condition."""


def sample(cases: Sequence[Case], *, root: Path = TRACES, to: Path = SAMPLE) -> int:
    """Copy the first run of one case after another, and return how many fitted."""
    for old in to.glob("*.json.gz"):
        old.unlink()
    to.mkdir(parents=True, exist_ok=True)
    size = taken = 0
    for case in _in_turn([case for case in cases if path_of(case, 0, root).exists()]):
        path = path_of(case, 0, root)
        if size + path.stat().st_size <= MAX_BYTES:
            copyfile(path, to / f"{case.name}.json.gz")
            size += path.stat().st_size
            taken += 1
    return taken


def _in_turn(cases: Sequence[Case]) -> Iterator[Case]:
    """One case of every condition in turn, each time of a program that was seldom taken so far."""
    waiting = list(cases)
    taken: dict[str, int] = {}
    order = sorted({case.condition for case in cases})
    order += [""] * (HEALTHY_TURNS - 1)
    while waiting:
        for condition in order:
            of_it = [case for case in waiting if case.condition == condition]
            if of_it:
                chosen = min(of_it, key=lambda case: taken.get(case.program.name, 0))
                taken[chosen.program.name] = taken.get(chosen.program.name, 0) + 1
                waiting.remove(chosen)
                yield chosen
