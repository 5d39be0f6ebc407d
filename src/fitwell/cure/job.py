"""The main job: train as is, diagnose, search on validation rows, prove on test rows, write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from fitwell import prescribe
from fitwell.cure.more_data import Outlook, keep_room, outlook
from fitwell.cure.networks import WEIGHTS, averaged, network
from fitwell.cure.outputs import best_of, recipe_sentence, versions, write_outputs
from fitwell.cure.result import Cure
from fitwell.cure.weights import weights_of
from fitwell.errors import BadInput, BudgetTooSmall, Interrupted, needs
from fitwell.records import ArmWeights, CureRecord, RunRecord, StudyRecord, Trace
from fitwell.studies.bench import Bench, seconds_stacked
from fitwell.studies.budget import LEAST_SEARCH, Budget, parse_budget
from fitwell.studies.checking import Examination, examine, first_look, merged
from fitwell.studies.executor import Executor, executor_for
from fitwell.studies.folder import Folder, open_folder
from fitwell.studies.job import Job
from fitwell.studies.progress import Progress, Silent
from fitwell.studies.search import SEARCH_SEEDS, Found, names_remedies, search
from fitwell.studies.store import Store
from fitwell.studies.study import UNTREATED, Arm, check_seeds, prove
from fitwell.studies.training import conflicts_of_recipe, without_test
from fitwell.tasks import Task
from fitwell.words import known_language, say

CURED = "cured"
DEFAULT_BUDGET = "2min"
TRACE = "trace.json"
LAB = ("altair", "cloudpickle", "joblib", "optuna", "scipy", "vl_convert")
"""What the job needs sooner or later: looked for at once, so that no run is lost."""


def cure(
    task: Task,
    budget: str | None = None,
    runs: int | None = None,
    seeds: int = 8,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    executor: Executor | None = None,
    device: str = "cpu",
    blind: bool = False,
    command: str = "",
    lang: str = "en",
) -> Cure:
    """Diagnose a task, search for the recipe that helps most, and prove it on test rows.

    Args:
        task: What is to be learned.
        budget: Wall time from the first run to the verdict, as ``"2min"``, which is the default
            where ``runs`` is not given either. At least 40 % of it is kept for the proof.
        runs: Largest number of search runs; alone it means no limit of time, and then the same
            call takes the same decisions on any machine. A fifth of the search at most, in runs
            and in time, goes to a learning curve where overfitting is found.
        seeds: Fresh seeds of the proof, from 2 to 1000.
        out: Folder for the results, by default the next number under ``fitwell-runs/TASK/``. An
            unfinished one of the same task and options is resumed.
        overwrite: Whether an ``out`` that holds another or a finished cure is replaced.
        progress: Told what goes on.
        executor: Where the runs are done, and left open; by default here if they are short, else
            in one process a core.
        device: Where to train.
        blind: Whether the search goes without the diagnosis: the same remedies and budget, proposed
            by Optuna's TPE from a flat prior. To see what the diagnosis is worth.
        command: The command to print in the report.
        lang: Language of the report: ``"en"`` or ``"ko"``.

    Raises:
        BadInput: If an argument or the task cannot be used; nothing is then written.
        MissingExtra: If a library of the extra ``lab`` is not installed; nothing is written.
        BudgetTooSmall: If the budget does not cover the least, with what it would take.
        Interrupted: After Ctrl-C; what was finished is kept, and the same call resumes it.
    """
    needs(*LAB)
    known_language(lang)
    seconds = parse_budget(budget or DEFAULT_BUDGET) if budget or runs is None else None
    Budget(seconds, runs)
    check_seeds(seeds)
    task.check()
    options = {"budget": budget, "runs": runs, "seeds": seeds, "device": device}
    if blind:
        options["blind"] = blind
    with open_folder(out, _identity(task, options), overwrite=overwrite) as folder:
        store = Store(folder.path / "study.db", higher_is_better=task.higher_is_better)
        case = Case(
            task=task,
            folder=folder,
            store=store,
            budget=Budget(seconds, runs, spent=store.spent),
            seeds=seeds,
            progress=progress or Silent(),
            device=device,
            blind=blind,
            given=executor,
        )
        try:
            record = case.solve(command)
            model, ensemble = write_outputs(folder, task, record, device=device, lang=lang)
        except KeyboardInterrupt:
            raise Interrupted(
                f"Interrupted: what was finished is kept in {folder.path}. "
                "The same command resumes it."
            ) from None
        except (BadInput, BudgetTooSmall):
            folder.discard()
            raise
    return Cure(record, model, folder.path, ensemble)


@final
@dataclass
class Case:
    """One task on its way from the first run to the verdict."""

    task: Task
    folder: Folder
    store: Store
    budget: Budget
    seeds: int
    progress: Progress
    device: str
    blind: bool = False
    given: Executor | None = None

    def solve(self, command: str = "") -> CureRecord:
        """Do the whole job and return what was found."""
        self.budget.start()
        before = self.examined()
        searching = self.blind or names_remedies(before.diagnosis)
        executor = self.executor(before.run.seconds, searching=searching)
        withheld = self.bench(without_test(self.task), executor)
        keep_room(self.task, before.diagnosis, self.budget, before.run.seconds / executor.workers)
        finished = False
        try:
            found = self.searched(before, withheld) if searching else None
            winner = found.winner if found else None
            rate = found.untreated.rate if found and winner else 1.0
            arms = [Arm(UNTREATED, rate=rate)]
            if winner is not None:
                arms.append(Arm(CURED, winner.recipe, winner.rate))
                for conflict in conflicts_of_recipe(self.task, winner.recipe):
                    self.progress.say(conflict)
            self.progress.stage(say("proving on test data"), len(arms) * self.seeds)
            proving = self.bench(self.task, executor)
            study = prove(proving, arms, range(self.seeds))
            ahead = outlook(withheld, before.diagnosis, rate, proving.cost / executor.workers)
            finished = True
        finally:
            if self.given is None:
                executor.close(now=not finished)
            self.progress.done()
        return self.recorded(before, found, study, ahead, command)

    def examined(self) -> Examination:
        """Train once as is, under watch; a resumed cure reads what was recorded."""
        self.progress.stage(say("training as is"), 1)
        seed = SEARCH_SEEDS[0]
        job = Job((), seed, arm=UNTREATED)
        done, file = self.store.get(job), self.folder.path / TRACE
        if isinstance(done, RunRecord) and file.exists():
            trace = Trace.load(file)
            before = first_look(self.task, seed=seed, device=self.device)
            return Examination(merged(before, prescribe.diagnose(trace)), trace, done)
        examination = examine(self.task, seed=seed, device=self.device)
        examination.trace.save(file)
        self.store.put(job, examination.run, clock=self.budget.elapsed)
        self.progress.advance()
        return examination

    def executor(self, cost: float, *, searching: bool) -> Executor:
        """Choose where the runs are done, and check that the budget covers the least."""
        many = (self.budget.runs or 10 * self.seeds) if searching else 0
        proven = seconds_stacked(self.task, cost, self.seeds, self.device)
        executor = self.given or executor_for(many + 2 * self.seeds, proven, device=self.device)
        least = LEAST_SEARCH * cost + 2 * self.seeds * proven if searching else self.seeds * proven
        try:
            self.budget.require(cost + least / executor.workers)
        except BudgetTooSmall:
            if self.given is None:
                executor.close(now=True)
            raise
        self.budget.reserve(2 * self.seeds * proven / executor.workers)
        return executor

    def bench(self, task: Task, executor: Executor) -> Bench:
        """Return where runs of the task are done."""
        return Bench(
            task,
            executor,
            store=self.store,
            budget=self.budget,
            progress=self.progress,
            device=self.device,
            weights=self.folder.path / WEIGHTS,
        )

    def searched(self, before: Examination, withheld: Bench) -> Found:
        """Search on validation rows; the test rows are not there to be read."""
        self.progress.say(str(before.diagnosis))
        expected = self.budget.search_runs
        left = self.budget.search_seconds
        if left is not None:
            workers = withheld.executor.workers
            fitting = int((left - self.budget.elapsed) * workers / before.run.seconds)
            expected = max(1, min(fitting, expected or fitting))
        self.progress.stage(say("searching"), expected)
        diagnosis = None if self.blind else before.diagnosis
        return search(withheld, diagnosis, proof_seeds=self.seeds)

    def recorded(
        self,
        before: Examination,
        found: Found | None,
        study: StudyRecord,
        ahead: Outlook,
        command: str,
    ) -> CureRecord:
        """Return everything that was found; the recipe only if the proof says that it helps."""
        winner = found.winner if found else None
        tested = winner.recipe if winner else ()
        judged = study.arms[-1].verdict
        proven = judged is not None and judged.outcome == "helps"
        together = [
            averaged(self.folder.path, self.task, arm, device=self.device)
            for arm in (study.arms if proven else study.arms[:1])
        ]
        return CureRecord(
            task=study.task,
            diagnosis=before.diagnosis,
            trace=before.trace,
            recipe=tested if proven else (),
            tested=tested,
            proof=study if winner else None,
            baseline=study.arms[0].runs,
            contributions=found.contributions if found else (),
            trials=found.trials if found else (),
            runs=self.store.runs,
            seconds=self.budget.elapsed,
            notes=(*_notes(before, found, study), *ahead.notes),
            command=command,
            versions=versions(),
            learning_curve=ahead.curve,
            averaged=tuple(one for one in together if one is not None),
            weights=self.weights(study),
        )

    def weights(self, study: StudyRecord) -> tuple[ArmWeights, ...]:
        """Return how the weights of the best run of each arm are spread."""
        better = self.task.higher_is_better
        runs = [best_of(arm.runs, higher_is_better=better) for arm in study.arms]
        return weights_of(
            [
                (
                    arm.name,
                    run.seed,
                    network(self.folder.path, self.task, arm, run, device=self.device),
                )
                for arm, run in zip(study.arms, runs, strict=True)
            ]
        )


def _notes(before: Examination, found: Found | None, study: StudyRecord) -> tuple[str, ...]:
    """Say what a reader could not see from the numbers."""
    if found is None:
        known = say("No remedy is known for what was found, so nothing was searched.")
        return () if before.diagnosis.healthy else (known,)
    notes: list[str] = []
    if not found.in_time:
        notes.append(
            say("The budget did not cover a proof of any recipe; so nothing went into one.")
        )
    elif found.winner is None:
        notes.append(
            say(
                "Nothing that was tried was better than the untreated network on validation data, "
                "beyond chance; so nothing went into a proof."
            )
        )
    else:
        measured = {one.remedy for one in found.contributions}
        missing = [spec.name for spec in found.winner.recipe if spec not in measured]
        if missing:
            notes.append(
                say(
                    "The budget ended before it was measured what {remedies} adds: allow more.",
                    remedies=", ".join(missing),
                )
            )
    notes += [recipe_sentence(a.recipe, a.rate) for a in study.arms if a.rate != 1.0]
    return (*notes, *found.refused)


def _identity(task: Task, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a folder belongs to: the task, its data, its settings, and the options."""
    record = task.record()
    return {
        "task": task.name,
        "data": record.fingerprint,
        "network": record.network,
        "settings": [record.loss, record.metric, task.batch_size, task.epochs],
        **options,
    }
