"""Faults of real runs are found, and healthy runs left in peace, at least as well as measured."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest
from benchmarks.faults.case import Case
from benchmarks.faults.cases import all_cases
from benchmarks.faults.recording import Recorded
from benchmarks.faults.scoring import Judged, judged, scores

from fitwell.records import CONDITIONS

SAMPLE = Path(__file__).parent / "detection"

FLOORS = {"found": 0.95, "root": 0.92, "layers": 0.85, "peace": 0.97}
"""Shares that were measured, less one or two runs (``docs/detection.md`` has the whole corpus)."""


def cases_by_name() -> dict[str, Case]:
    return {case.name: case for case in all_cases()}


@lru_cache
def sampled() -> tuple[Judged, ...]:
    known = cases_by_name()
    recorded = [Recorded.load(path) for path in sorted(SAMPLE.glob("*.json.gz"))]
    return tuple(judged(known[run.case], run) for run in recorded if run.case in known)


def of(runs: list[Judged] | tuple[Judged, ...]) -> dict[str, float]:
    table = {score.name: score for score in scores(all_cases(), runs)}
    sick, healthy = table["all sick"], table["healthy"]
    assert sick.found is not None
    assert sick.root is not None
    assert sick.layers is not None
    assert healthy.found is not None
    return {
        "found": sick.found,
        "root": sick.root,
        "layers": sick.layers,
        "peace": healthy.found,
    }


def test_the_sample_holds_every_condition_and_healthy_runs_of_many_programs() -> None:
    known = cases_by_name()
    mine = [known[run.case] for run in sampled()]
    assert {case.condition for case in mine} == {"", *CONDITIONS}
    assert len({case.program.name for case in mine if not case.condition}) >= 15


@pytest.mark.parametrize("what", FLOORS)
def test_the_sample_is_judged_as_well_as_it_was(what: str) -> None:
    assert of(sampled())[what] >= FLOORS[what], [
        (run.case, [said.condition for said in run.alarms])
        for run in sampled()
        if not (
            run.root_right(cases_by_name()[run.case])
            if cases_by_name()[run.case].condition
            else not run.alarms
        )
    ]
