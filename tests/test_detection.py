"""Faults of real runs are found, and healthy runs left in peace, at least as well as measured."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from statistics import stdev

import pytest
from benchmarks.faults.case import Case
from benchmarks.faults.cases import all_cases
from benchmarks.faults.proof import prove
from benchmarks.faults.recording import Recorded, is_stale, path_of, record
from benchmarks.faults.scoring import Judged, Said, cut, judge_all, judged, scores
from benchmarks.faults.sources import source_hash

from fitwell.records import CONDITIONS, Quantity, Row, Trace

SAMPLE = Path(__file__).parent / "detection"

FLOORS = {"found": 0.93, "root": 0.89, "layers": 0.9, "peace": 0.97}
"""Shares that were measured, less one or two runs (``docs/detection.md`` has the whole corpus)."""

FRESH_FLOORS = {"found": 0.9, "root": 0.85, "layers": 0.8, "peace": 0.9}
"""The same for runs made anew, which another processor rounds in its own way."""

FRESH_PROGRAMS = ("wine-mlp", "cancer-mlp", "diabetes-mlp", "bag")
FRESH = ("mnist-cnn", "mnist-cnn-dead-linear", "placing-cnn", "placing-cnn-broadcast", "peers-rnn")
"""What is run again: all cases of the quickest programs, and a few of the others."""


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


def wrong(runs: list[Judged] | tuple[Judged, ...]) -> list[tuple[str, list[str]]]:
    known = cases_by_name()
    return [
        (run.case, [said.condition for said in run.alarms])
        for run in runs
        if not (run.root_right(known[run.case]) if known[run.case].condition else not run.alarms)
    ]


def test_the_sample_holds_every_condition_and_healthy_runs_of_many_programs() -> None:
    known = cases_by_name()
    mine = [known[run.case] for run in sampled()]
    assert {case.condition for case in mine} == {"", *CONDITIONS}
    assert len({case.program.name for case in mine if not case.condition}) >= 15


@pytest.mark.parametrize("what", FLOORS)
def test_the_sample_is_judged_as_well_as_it_was(what: str) -> None:
    assert of(sampled())[what] >= FLOORS[what], wrong(sampled())


@pytest.mark.slow
def test_runs_recorded_now_are_judged_as_well_as_those_of_the_sample(tmp_path: Path) -> None:
    cases = [c for c in all_cases() if c.program.name in FRESH_PROGRAMS or c.name in FRESH]
    assert len(cases) >= 55
    for _ in record(cases, seeds=1, root=tmp_path, with_twins=False):
        pass
    runs = list(judge_all(cases, root=tmp_path))
    assert len(runs) == len(cases)
    measured = of(runs)
    assert all(measured[what] >= floor for what, floor in FRESH_FLOORS.items()), wrong(runs)


def test_a_finding_on_a_trace_cut_short_counts_from_the_step_that_it_needs() -> None:
    case = cases_by_name()["digits-mlp-softmax-first"]
    run = Recorded.load(SAMPLE / "digits-mlp-softmax-first.json.gz")
    assert run.trace is not None
    assert cut(run.trace, 7).rows[-1].step == 7
    assert judged(case, run, lag=True).lag == 0


def said(condition: str, *layers: str, by: str = "", severity: str = "severe") -> Said:
    return Said(condition, severity, layers, 0, by, "")


def test_a_right_condition_behind_a_wrong_root_is_found_but_is_no_right_root() -> None:
    case = cases_by_name()["digits-mlp-dead-bias"]
    run = Judged(case.name, 0, (said("overfitting"), said("dead_units", "3", by="overfitting")))
    assert run.right(case) is not None
    assert not run.root_right(case)
    assert run.layers_right(case)


def test_layers_are_right_if_half_of_the_named_and_half_of_the_faulty_ones_agree() -> None:
    case = cases_by_name()["digits-mlp-dead-bias"]
    assert case.layers == ("3",)
    assert Judged(case.name, 0, (said("dead_units", "3", "6"),)).layers_right(case)
    assert not Judged(case.name, 0, (said("dead_units", "0", "3", "6"),)).layers_right(case)
    assert not Judged(case.name, 0, (said("dead_units"),)).layers_right(case)


def test_a_mild_finding_is_no_alarm_and_an_explained_one_costs_no_precision() -> None:
    case, healthy = cases_by_name()["digits-mlp-dead-bias"], cases_by_name()["digits-mlp"]
    runs = [
        Judged(healthy.name, 0, (said("overfitting", severity="mild"),)),
        Judged(case.name, 0, (said("dead_units", "3"), said("overfitting", by="dead_units"))),
    ]
    table = {score.name: score for score in scores(all_cases(), runs)}
    assert table["healthy"].found == 1.0
    assert table["dead_units"].precision == 1.0


def outcome(case: Case, seed: int, value: float, root: Path) -> None:
    run = Recorded(case.name, seed, "", 0.0, {case.outcome: value}, "", None)
    run.save(path_of(case, seed, root))


def test_a_fault_is_proven_where_the_interval_of_the_paired_differences_is_above_zero(
    tmp_path: Path,
) -> None:
    case = cases_by_name()["digits-mlp-dead-bias"]
    healthy = cases_by_name()["digits-mlp"]
    for seed in range(3):
        outcome(case, seed, 2.0 + seed, tmp_path)
        outcome(healthy, seed, 1.0 + seed, tmp_path)
    proof = prove(case, root=tmp_path)
    harms = [math.log(2 / 1), math.log(3 / 2), math.log(4 / 3)]
    assert proof is not None
    assert proof.harm == pytest.approx(sum(harms) / 3)
    assert proof.low == pytest.approx(sum(harms) / 3 - 4.30 * stdev(harms) / math.sqrt(3))
    assert not proof.proven
    for seed in range(3):
        outcome(case, seed, math.nan, tmp_path)
    proof = prove(case, root=tmp_path)
    assert proof is not None
    assert proof.proven


def test_what_is_recorded_reads_back_the_same_and_code_that_changed_is_recorded_anew(
    tmp_path: Path,
) -> None:
    case = cases_by_name()["digits-mlp"]
    trace = Trace([Row(0, Quantity.LOSS, 0.125), Row(1, Quantity.LOSS, math.inf)])
    run = Recorded(case.name, 0, source_hash(case), 0.5, {"val_loss": math.nan}, "", trace)
    run.save(path_of(case, 0, tmp_path))
    back = Recorded.load(path_of(case, 0, tmp_path))
    assert back.trace == trace
    assert math.isnan(back.outcome["val_loss"])
    assert not is_stale(case, path_of(case, 0, tmp_path))
    replace(run, source="of before").save(path_of(case, 0, tmp_path))
    assert is_stale(case, path_of(case, 0, tmp_path))
