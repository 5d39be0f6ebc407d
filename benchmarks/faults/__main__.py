"""``python -m benchmarks.faults JOB``: record, prove, score, repair, page, sample or list."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.faults.case import Case
from benchmarks.faults.cases import all_cases
from benchmarks.faults.data import TRACES
from benchmarks.faults.page import page, table
from benchmarks.faults.proof import prove
from benchmarks.faults.recording import SEEDS, record
from benchmarks.faults.repair_page import repair_section
from benchmarks.faults.repairing import Repair, load, repair_all, save
from benchmarks.faults.sampling import SAMPLE, sample
from benchmarks.faults.scoring import Judged, judge_all, scores

PAGE = Path("docs/detection.md")
REPAIR_SEEDS = 2
"""Runs of every case that remedies are tried on: as many as fit into a quarter of an hour."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Record, score or write the page."""
    parser = argparse.ArgumentParser(prog="benchmarks.faults", description=__doc__)
    parser.add_argument(
        "job", choices=["record", "prove", "score", "repair", "page", "sample", "list"]
    )
    parser.add_argument("only", nargs="*", help="parts of names of cases, or conditions; all")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--again", action="store_true", help="record what is recorded already")
    parser.add_argument("--detail", action="store_true", help="list every miss and false alarm")
    parser.add_argument("--lag", action="store_true", help="find the step of the first finding")
    parser.add_argument(
        "--by-budget", action="store_true", help="record as a watch does by default, by a clock"
    )
    parser.add_argument("--traces", type=Path, default=TRACES, help="folder of recorded runs")
    parser.add_argument("--split", choices=["calibration", "held-out"])
    given = parser.parse_args(arguments)
    cases = [case for case in all_cases() if _chosen(case, given.only, given.split)]
    if given.job == "record":
        options = {"again": given.again, "by_budget": given.by_budget, "root": given.traces}
        for line in record(cases, seeds=given.seeds, **options):
            print(line, flush=True)
    elif given.job == "prove":
        _prove(cases, given.traces)
    elif given.job == "score":
        _score(cases, list(judge_all(cases, lag=given.lag, root=given.traces)), given.detail)
    elif given.job == "repair":
        _repair(cases, min(given.seeds, REPAIR_SEEDS), given.traces)
    elif given.job == "page":
        PAGE.write_text(page(cases, root=given.traces), encoding="utf-8")
    elif given.job == "sample":
        print(f"{sample(cases, root=given.traces)} runs in {SAMPLE}")
    else:
        for case in cases:
            print(case.program.split, case.name, case.condition or "healthy", sep="\t")


def _chosen(case: Case, only: Sequence[str], split: str | None) -> bool:
    condition = case.condition or "healthy"
    named = not only or condition in only or any(part in case.name for part in only)
    return named and split in (None, case.program.split)


def _repair(cases: Sequence[Case], seeds: int, root: Path) -> None:
    found: list[Repair] = []
    for repair in repair_all(cases, seeds=seeds, root=root):
        found.append(repair)
        state = "repaired" if repair.repaired else "advised " if repair.advised else "NOT     "
        print(
            f"{state} {repair.case} #{repair.seed}: {repair.root or 'nothing'}; "
            + ", ".join(
                f"{spec} -> {value:.4g}"
                for spec, value in zip(repair.tried, repair.outcomes, strict=True)
            ),
            flush=True,
        )
    mine = {case.name for case in cases}
    kept = [repair for repair in load(root) if repair.case not in mine]
    save([*kept, *found], root)
    print(f"\n{repair_section(cases, found)}")


def _prove(cases: Sequence[Case], root: Path) -> None:
    for case in cases:
        proof = prove(case, root=root) if case.condition else None
        if proof is not None:
            print(
                "proven " if proof.proven else "NOT    ",
                f"{case.name:48} {proof.outcome} {proof.sick:.4g} against {proof.repaired:.4g}, "
                f"harm {proof.harm:.3g} from {proof.low:.3g}, {proof.pairs} pairs",
            )


def _score(cases: Sequence[Case], runs: Sequence[Judged], detail: bool) -> None:
    known = {case.name: case for case in cases}
    for run in runs if detail else ():
        case = known[run.case]
        wanted = " or ".join(case.causes) or "healthy"
        well = run.root_right(case) if case.condition else not run.alarms
        placed = not case.layers or run.layers_right(case)
        if well and placed:
            continue
        print(f"\n{case.name} #{run.seed} ({case.program.split}): {wanted}", end=" ")
        print(f"in {', '.join(case.layers)}" if case.layers else "")
        for said in run.said:
            cause = f" <- {said.caused_by}" if said.caused_by else ""
            where = f" in {', '.join(said.layers)}" if said.layers else ""
            print(f"    {said.severity} {said.condition}{cause}{where}: {said.explanation}")
        if not run.said:
            print("    nothing was said")
    for split in ("calibration", "held-out"):
        mine = [case for case in cases if case.program.split == split]
        if mine:
            print(f"\n{split}\n{table(scores(mine, runs))}")


if __name__ == "__main__":
    main()
