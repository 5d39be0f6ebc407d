"""Many runs of one structure trained as one program."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fitwell.studies.job import Job
from fitwell.studies.stacked.course import StackedCourse
from fitwell.studies.stacked.program import Unstackable
from fitwell.studies.stacked.rows import Rows
from fitwell.studies.stacked.structure import program_for, structure
from fitwell.studies.training import Fitted, reproducible, treated_network
from fitwell.tasks import Task


def fit_stacked(task: Task, jobs: Sequence[Job], *, device: str = "cpu") -> list[Fitted]:
    """Do runs of one structure as one program; each comes out as :func:`fit` alone gives it.

    What a run gives is the same to floating-point tolerance, and does not depend on the runs that
    it is stacked with.

    Args:
        task: What is to be learned.
        jobs: Runs of one :func:`structure`; at least one.
        device: Where to train.

    Returns:
        What came of each, in the order of the jobs. The seconds of a run are those of all,
        divided by their number.

    Raises:
        NotApplicable: If a remedy cannot serve the network.
        Unstackable: If the jobs are not of one structure, or cannot train as one program.
    """
    started = time.perf_counter()
    if len({structure(task, job) for job in jobs}) != 1:
        raise Unstackable("the runs do not share a structure")
    places = sorted(range(len(jobs)), key=lambda place: jobs[place].rate)
    ordered = [jobs[place] for place in places]
    rows = Rows(task, ordered, device)
    treated = []
    for run, job in enumerate(ordered):
        with reproducible(job.seed, device):
            treated.append(treated_network(task, job.recipe, rows.of(run), seed=job.seed))
    with reproducible(ordered[0].seed, device):
        program = program_for(treated[0].model, rows.train.x[:2])
        course = StackedCourse(task, ordered, treated, program, rows)
        course.run()
        scores = list(course.scores())
    seconds = (time.perf_counter() - started) / len(jobs)
    done: list[Fitted | None] = [None] * len(jobs)
    for run, place in enumerate(places):
        model = course.models[run]
        record = course.standings[run].record(
            ordered[run],
            scores[run],
            seconds=seconds,
            parameters=sum(p.numel() for p in model.parameters()),
            took_effect=course.effects[run],
        )
        done[place] = Fitted(record, model, course.outputs.get(run))
    return [fitted for fitted in done if fitted is not None]
