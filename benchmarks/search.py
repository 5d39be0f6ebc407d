"""What the diagnosis is worth to a search: guided against TPE and random over the same space.

Run from the root of the repository; finished runs are kept in the folder of ``--cache``, so that a
later call goes on where this one was::

    python benchmarks/search.py --tasks digits-few sigmoid-10-sgd --repeats 2
    python benchmarks/search.py --part steps --repeats 1

Part ``reach`` counts the runs that guided search needs to reach the validation loss that 60 blind
runs end with. Part ``steps`` compares the held-out log-loss of what each search chose with 20 and
with 100 runs, and the gain that a proof reports with the gain on rows that nobody has read.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, median, stdev
from types import SimpleNamespace
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))

from search_tasks import TASKS, TEN, Ground

from fitwell.records import Diagnosis, RunRecord
from fitwell.studies.bench import FAILURES
from fitwell.studies.budget import Budget
from fitwell.studies.candidates import Candidate, label
from fitwell.studies.checking import examine
from fitwell.studies.job import Done, Job, Refusal
from fitwell.studies.search import SEARCH_SEEDS, Race, search
from fitwell.studies.search.blind import told
from fitwell.studies.search.exploring import explore
from fitwell.studies.search.searching import proposer_for
from fitwell.studies.search.space import space_for
from fitwell.studies.statistics import paired_effect
from fitwell.studies.store import run_from_dict
from fitwell.studies.training import check_serves, evaluate, fit

BLIND_RUNS = 60
MARKS = (5, 10, 20, 40, 60)
STEPS = (20, 100)
PROOF = tuple(range(4))


class CachedBench:
    """Does runs one after another, scored on all held-out rows, and keeps them in a file.

    The search reads validation scores alone; the others are for the judge.
    """

    def __init__(self, ground: Ground, file: Path, runs: int | None = None) -> None:
        self.ground, self.task, self.file = ground, ground.task, file
        self.budget = Budget(None, runs) if runs else None
        self.executor = SimpleNamespace(workers=1)
        self.cost = 0.0
        self.order: list[Job] = []
        self.seconds = 0.0
        self.known: dict[str, dict[str, Any]] = {}
        self.refusals: dict[tuple[str, ...], str | None] = {}
        for line in file.read_text().splitlines() if file.exists() else ():
            self._remember(line)

    def _remember(self, line: str) -> None:
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:  # cut short by a kill
            return
        self.known[entry["key"]] = entry

    def forecast(self, jobs: Iterable[Job]) -> float:
        return 0.0

    def has_room(self, runs: int) -> bool:
        return self.budget is None or self.budget.has_room(runs, 0.0)

    def refusal(self, recipe: Sequence[Any]) -> str | None:
        key = tuple(map(str, recipe))
        if key not in self.refusals:
            try:
                check_serves(self.task, recipe)
                self.refusals[key] = None
            except FAILURES as error:
                self.refusals[key] = str(error).splitlines()[0]
        return self.refusals[key]

    def run(self, jobs: Iterable[Job], *, share: float | None = None) -> dict[Job, Done]:
        found: dict[Job, Done] = {}
        for job in dict.fromkeys(jobs):
            if share is not None and self.budget:
                length = (job.epochs or self.task.epochs) / self.task.epochs
                if not self.budget.covers(length, share=share):
                    break
                self.budget.runs_spent += length
            found[job] = self.one(job)
            if share is not None:
                self.order.append(job)
        return found

    def one(self, job: Job) -> Done:
        entry = self.entry(job)
        if "refused" in entry:
            return Refusal(job.arm, entry["refused"])
        return replace(run_from_dict(entry["record"]), arm=job.arm)

    def entry(self, job: Job) -> dict[str, Any]:
        """Return what is known of a job, doing it first if nothing is."""
        if job.key not in self.known:
            began = time.process_time()
            entry: dict[str, Any] = {"key": job.key}
            try:
                fitted = fit(self.task, job)
                entry["record"] = asdict(replace(fitted.run, arm=""))
                for name, split in (("test", self.task.data.test), ("fresh", self.ground.fresh)):
                    if len(split):
                        entry[name] = list(vars_of(evaluate(self.task, fitted.model, split)))
            except FAILURES as error:
                entry["refused"] = str(error).splitlines()[0]
            self.seconds += time.process_time() - began
            self.known[job.key] = entry
            with self.file.open("a") as out:
                out.write(json.dumps(entry) + "\n")
        return self.known[job.key]


def vars_of(score: Any) -> tuple[float, float]:
    return score.metric, score.loss


def loss_of(bench: CachedBench, candidate: Candidate) -> float:
    """Return the validation loss of a candidate on the first seed of the search."""
    done = bench.one(candidate.job(SEARCH_SEEDS[0]))
    assert isinstance(done, RunRecord)
    return done.validation.loss


def blind_course(bench: CachedBench, runs: int, *, seed: int, random: bool) -> list[Candidate]:
    """Return what a blind search tried, in order: a run at a time, told of every result at once."""
    space = space_for(bench.task.data.kind, bench.refusal)
    study = told(space, (), seed=seed, random=random)
    course: list[Candidate] = []
    while len(course) < runs:
        trial = study.ask()
        candidate = space.suggested(trial)
        done = bench.one(candidate.job(SEARCH_SEEDS[0]))
        if isinstance(done, Refusal):
            study.tell(trial, state=_failed())
            continue
        study.tell(trial, done.validation.loss)
        course.append(candidate)
    return course


def _failed() -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL


def diagnosis_of(bench: CachedBench) -> Diagnosis:
    return examine(bench.task, seed=SEARCH_SEEDS[0]).diagnosis


def guided_course(bench: CachedBench, runs: int, *, seed: int) -> list[tuple[float, float]]:
    """Return the cost so far and the validation loss of every run of a guided exploring."""
    bench.budget, bench.order = Budget(None, runs), []
    race = Race(bench)  # type: ignore[arg-type]  # it asks for what a bench does
    space = space_for(bench.task.data.kind, bench.refusal)
    explore(race, proposer_for(space, diagnosis_of(bench), seed=seed), share=1.0)
    spent, course = 0.0, []
    for job in [Candidate().job(SEARCH_SEEDS[0]), *bench.order]:
        spent += (job.epochs or bench.task.epochs) / bench.task.epochs
        done = bench.one(job)
        if isinstance(done, RunRecord):
            course.append((spent, done.validation.loss))
    return course


def best_by(course: Sequence[tuple[float, float]], runs: float) -> float:
    """Return the lowest validation loss that was reached with that many runs."""
    return min((loss for spent, loss in course if spent <= runs), default=float("inf"))


def reach(name: str, repeat: int, cache: Path) -> dict[str, Any]:
    """Count the runs of guided search that reach what blind ones end with."""
    bench = opened(name, repeat, cache)
    found: dict[str, Any] = {"task": name, "repeat": repeat}
    guided = guided_course(bench, BLIND_RUNS, seed=repeat)
    found["guided"] = [best_by(guided, mark) for mark in MARKS]
    for method in ("tpe", "random"):
        tried = blind_course(bench, BLIND_RUNS, seed=repeat, random=method == "random")
        course = [(i + 1.0, loss_of(bench, c)) for i, c in enumerate(tried)]
        goal = best_by(course, BLIND_RUNS)
        found[method] = [best_by(course, mark) for mark in MARKS]
        found[f"runs to {method}"] = next((s for s, loss in guided if loss <= goal), None)
    return found


def steps(name: str, repeat: int, cache: Path, runs: int) -> dict[str, Any]:
    """Compare what each search chose with so many runs, on rows that no choice was made on."""
    bench = opened(name, repeat, cache)
    found: dict[str, Any] = {"task": name, "repeat": repeat, "runs": runs}
    bench.budget, bench.order = Budget(None, runs), []
    result = search(bench, diagnosis_of(bench), seed=repeat)  # type: ignore[arg-type]
    chosen = {"guided": result.winner or result.untreated}
    for method in ("tpe", "random"):
        tried = blind_course(bench, runs, seed=repeat, random=method == "random")
        chosen[method] = min(tried, key=partial(loss_of, bench))
    for method, candidate in chosen.items():
        found[method] = held_out(bench, candidate)
        found[f"{method} recipe"] = f"{label(candidate.recipe)} × {candidate.rate:g}"
    found["untreated"] = held_out(bench, result.untreated)
    return found


def held_out(bench: CachedBench, candidate: Candidate) -> dict[str, list[list[float]]]:
    """Return metric and loss on test and on fresh rows, a pair for every seed of the proof."""
    entries = [bench.entry(replace(candidate.job(seed))) for seed in PROOF]
    return {side: [e[side] for e in entries if side in e] for side in ("test", "fresh")}


def opened(name: str, repeat: int, cache: Path) -> CachedBench:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    return CachedBench(TASKS[name](repeat), cache / f"{name}-{repeat}.jsonl")


def told_reach(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield how soon guided search reached what each blind one ended with."""
    yield f"validation loss after {' / '.join(map(str, MARKS))} runs; runs to reach the blind end"
    for row in rows:
        curves = "   ".join(f"{m} {_curve(row[m])}" for m in ("guided", "tpe", "random"))
        reached = ", ".join(f"{m} {row[f'runs to {m}'] or 'not'}" for m in ("tpe", "random"))
        yield f"{row['task']} {row['repeat']}: {curves}   reached: {reached}"
    for method in ("tpe", "random"):
        runs = sorted(row[f"runs to {method}"] or math.inf for row in rows)
        missed = sum(map(math.isinf, runs))
        yield (
            f"{method}: median {median(runs):.1f} of {BLIND_RUNS} runs, quarters "
            f"{runs[len(runs) // 4]:.1f} and {runs[3 * len(runs) // 4]:.1f}; not reached in "
            f"{missed} of {len(runs)}"
        )
        for place, mark in enumerate(MARKS):
            gains = [row[method][place] - row["guided"][place] for row in rows]
            lower = sum(g > 0 for g in gains)
            yield f"  after {mark} runs: guided lower in {lower} of {len(gains)}"


def told_steps(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the held-out losses of what each search chose, and how honest reported gains are."""
    marks: dict[str, list[str]] = {"tpe": [], "random": []}
    gaps: list[float] = []
    for row in rows:
        parts = []
        losses = {m: _losses(row[m]) for m in ("guided", "tpe", "random")}
        for method, verdicts in marks.items():
            effect = paired_effect(losses[method], losses["guided"], higher_is_better=False)
            verdicts.append("better" if effect.low > 0 else "worse" if effect.high < 0 else "level")
            parts.append(f"{method} {fmean(losses[method]):.3f} ({verdicts[-1]})")
        yield (
            f"{row['task']} {row['repeat']}, {row['runs']} runs: guided "
            f"{fmean(losses['guided']):.3f} [{row['guided recipe']}], {', '.join(parts)}"
        )
        if row["guided"]["fresh"]:
            reported, real = (_gain(row, side) for side in ("test", "fresh"))
            gaps.append(100 * (reported - real))
    for method, verdicts in marks.items():
        counts = Counter(verdicts)
        yield f"guided against {method}: " + ", ".join(f"{k} on {v}" for k, v in counts.items())
    if len(gaps) > 1:
        yield (
            f"reported less real gain: {fmean(gaps):+.2f} points on average, deviation "
            f"{stdev(gaps):.2f}, {len(gaps)} tasks"
        )


def _gain(row: Mapping[str, Any], side: str) -> float:
    """Return by how much the metric of what was chosen is higher than the untreated network's."""
    treated, untreated = (fmean(m for m, _ in row[arm][side]) for arm in ("guided", "untreated"))
    return treated - untreated


def _curve(losses: Sequence[float]) -> str:
    return " ".join(f"{loss:.3f}" for loss in losses)


def _losses(sides: Mapping[str, Sequence[Sequence[float]]]) -> list[float]:
    """Return the loss of every seed over all rows that no choice was made on."""
    per_seed = zip(*(sides[side] for side in ("test", "fresh") if sides[side]), strict=True)
    return [fmean(loss for _, loss in row) for row in per_seed]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", choices=("reach", "steps"), default="reach")
    parser.add_argument("--tasks", nargs="+", choices=tuple(TASKS), help="default: all of the part")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--runs", type=int, nargs="+", default=STEPS, help="of part steps")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=Path("search-cache"))
    given = parser.parse_args()
    given.cache.mkdir(parents=True, exist_ok=True)
    names = given.tasks or (TEN if given.part == "reach" else tuple(TASKS))
    jobs = [(name, repeat) for repeat in range(given.repeats) for name in names]
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        if given.part == "reach":
            asked = [pool.submit(reach, *job, given.cache) for job in jobs]
            print(*told_reach([each.result() for each in asked]), sep="\n")
            return
        for runs in given.runs:
            asked = [pool.submit(steps, *job, given.cache, runs) for job in jobs]
            print(*told_steps([each.result() for each in asked]), sep="\n")


if __name__ == "__main__":
    main()
