"""A controlled comparison: arms × seeds, paired, scored on test rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from fitwell.errors import BadInput, NotApplicable
from fitwell.recipe import Recipe
from fitwell.records import (
    ArmRecord,
    RunRecord,
    StudyRecord,
    Verdict,
    study_to_dict,
)
from fitwell.report.evidence import evidence_lines
from fitwell.report.formats import report_of
from fitwell.report.markdown import study_markdown
from fitwell.report.notebook import study_card
from fitwell.studies.bench import Bench, seconds_stacked
from fitwell.studies.candidates import Candidate, Specs
from fitwell.studies.executor import Executor, InProcess, executor_for
from fitwell.studies.job import Job, Refusal
from fitwell.studies.judging import judged
from fitwell.studies.progress import Progress, Silent
from fitwell.studies.search import SEARCH_SEEDS, Race
from fitwell.studies.store import Memory
from fitwell.studies.training import (
    changes_of,
    check_serves,
    conflicts_of_recipe,
    without_test,
)
from fitwell.tasks import Task
from fitwell.words import say

UNTREATED = "untreated"
TUNED_RATES = (1.0, 0.3, 3.0)
"""Learning rates that ``tune_rate`` tries for every arm, as multiples of the task's own."""
MAX_SEEDS = 1000


@final
@dataclass(frozen=True)
class Arm:
    """One arm of a study: a recipe at a learning rate, under a name."""

    name: str
    recipe: Specs = ()
    rate: float = 1.0


@final
@dataclass(frozen=True)
class Study:
    """What a comparison found; made by :func:`compare`."""

    record: StudyRecord

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """The verdict on every arm but the untreated one, by name."""
        return {arm.name: arm.verdict for arm in self.record.arms if arm.verdict is not None}

    def table(self) -> str:
        """Return the arms as a plain table: mean score, improvement with interval, p, verdict.

        Below it stands what helps to read the verdicts, as the effect that could not be seen.
        """
        rows = [("arm", self.record.task.metric, "improvement", "95 % interval", "p", "verdict")]
        for arm in self.record.arms:
            score = f"{sum(arm.per_seed) / len(arm.per_seed):.4f}"
            rows.append((arm.name, score, *_told(arm.verdict)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
        return "\n".join((*lines, *evidence_lines(self.record.task, self.record.arms)))

    def report(self, path: str | Path, *, lang: str = "en") -> Path:
        """Write the study as one HTML page, or as Markdown if the path ends in ``.md``.

        Args:
            path: Where to write it.
            lang: Language to write it in: ``"en"`` or ``"ko"``.

        Returns:
            The path.

        Raises:
            BadInput: If the path ends in anything else, or the language is not known.
        """
        target = Path(path)
        target.write_text(report_of(self.record, target, lang=lang), encoding="utf-8")
        return target

    def to_dict(self) -> dict[str, object]:
        """Return the study as JSON-ready data."""
        return study_to_dict(self.record)

    def __str__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        return study_card(self.record)

    def _repr_markdown_(self) -> str:
        return study_markdown(self.record)


def compare(
    task: Task,
    arms: Mapping[str, Recipe],
    seeds: int = 8,
    *,
    tune_rate: bool = False,
    progress: Progress | None = None,
    executor: Executor | None = None,
    device: str = "cpu",
) -> Study:
    """Train the untreated network and every arm on the same seeds, and judge them on test rows.

    Args:
        task: What is to be learned.
        arms: Recipes by name; the untreated arm is added.
        seeds: Runs of every arm, from 2 to 1000.
        tune_rate: Whether every arm, the untreated one too, first gets the learning rate that
            serves it best on validation rows; otherwise all train at the task's own.
        progress: Told what goes on.
        executor: Where the runs are done; by default here if they are short, else in one process
            a core. The result is the same.
        device: Where to train.

    Raises:
        BadInput: If there is no arm, a name is taken, or ``seeds`` is out of range.
        NotApplicable: If a remedy cannot serve the task's network.
        TaskError: If the task cannot be trained on.
    """
    check_seeds(seeds)
    if not arms:
        raise BadInput('There is nothing to compare: give arms, as {"dropout": recipe}.')
    if UNTREATED in arms:
        raise BadInput(f"The name {UNTREATED!r} is taken by the arm that is always there.")
    task.check()
    shown = progress or Silent()
    plans = [Arm(UNTREATED), *(Arm(name, tuple(r.specs)) for name, r in arms.items())]
    for plan in plans:
        try:
            check_serves(task, plan.recipe)
        except NotApplicable as error:
            raise NotApplicable(f"{plan.name!r} cannot be trained: {error}") from error
        for conflict in conflicts_of_recipe(task, plan.recipe):
            shown.say(f"{plan.name}: {conflict}")
    memory = Memory()
    first = Job((), 0, test=True, arm=UNTREATED)
    done = Bench(task, InProcess(), store=memory, device=device).run([first])[first]
    runs = len(plans) * (seeds + (2 * len(TUNED_RATES) if tune_rate else 0))
    alone = done.seconds if isinstance(done, RunRecord) else 0.0
    cost = seconds_stacked(task, alone, seeds, device)
    workers = executor or executor_for(runs, cost, device=device)
    finished = False
    try:
        if tune_rate:
            shown.stage(say("tuning the learning rates"), 2 * len(TUNED_RATES) * len(plans))
            blind = Bench(without_test(task), workers, store=memory, progress=shown, device=device)
            plans = [tuned(blind, plan) for plan in plans]
        shown.stage(say("comparing"), len(plans) * seeds)
        bench = Bench(task, workers, store=memory, progress=shown, device=device)
        record = prove(bench, plans, range(seeds))
        finished = True
    finally:
        if executor is None:
            workers.close(now=not finished)
        shown.done()
    return Study(record)


def check_seeds(seeds: int) -> None:
    """Check a number of seeds.

    Raises:
        BadInput: If it is less than 2 or more than 1000.
    """
    if not 2 <= seeds <= MAX_SEEDS:
        raise BadInput(
            f"seeds must lie in [2, {MAX_SEEDS}], got {seeds}: an interval needs two runs."
        )


def tuned(bench: Bench, arm: Arm) -> Arm:
    """Return the arm at the learning rate that serves it best on validation rows."""
    race = Race(bench)
    race.run([Candidate(arm.recipe, rate) for rate in TUNED_RATES], SEARCH_SEEDS[:2], 1.0)
    best = race.best(treated=bool(arm.recipe))
    if best is None:
        raise NotApplicable(f"{arm.name!r} cannot be compared: {'; '.join(race.refused)}")
    return replace(arm, rate=best.rate)


def prove(bench: Bench, arms: Sequence[Arm], seeds: Sequence[int]) -> StudyRecord:
    """Run arms on seeds, score them on test rows, and judge all but the first against the first.

    Raises:
        NotApplicable: If a remedy cannot serve the task's network.
    """
    jobs = {
        arm.name: [Job(arm.recipe, seed, arm.rate, test=True, arm=arm.name) for seed in seeds]
        for arm in arms
    }
    by_seed = [job for row in zip(*jobs.values(), strict=True) for job in row]
    done = bench.run(by_seed)
    runs: dict[str, list[RunRecord]] = {arm.name: [] for arm in arms}
    for job in by_seed:
        result = done[job]
        if isinstance(result, Refusal):
            raise NotApplicable(f"{job.arm!r} cannot be trained: {result.reason}")
        runs[job.arm].append(result)
    verdicts = judged(bench.task, runs)
    records = tuple(
        ArmRecord(
            arm.name,
            arm.recipe,
            arm.rate,
            tuple(runs[arm.name]),
            verdicts.get(arm.name),
            changes_of(bench.task, arm.recipe) if arm.recipe else (),
        )
        for arm in arms
    )
    return StudyRecord(bench.task.record(), records, tuple(seeds))


def _told(said: Verdict | None) -> tuple[str, str, str, str]:
    if said is None:
        return "", "", "", ""
    effect = said.effect
    interval = f"[{effect.low:+.4f}, {effect.high:+.4f}]"
    return f"{effect.mean:+.4f}", interval, f"{said.adjusted_p:.2g}", said.outcome
