from __future__ import annotations

import pytest
from torch import nn

from fitwell.records import RemedySpec, RunRecord
from fitwell.studies import performing
from fitwell.studies.job import Job, Refusal
from fitwell.studies.performing import Performance
from fitwell.studies.training import fit


def perform(task, *jobs):
    return Performance(lambda: task)(jobs)


def test_jobs_of_several_structures_come_back_in_their_order(task):
    norm = (RemedySpec("BatchNorm", {}),)
    jobs = [Job((), 0), Job(norm, 1), Job((), 2, 0.5), Job(norm, 3), Job((), 4, epochs=1)]
    done = perform(task, *jobs)
    assert [run.seed for run in done] == [0, 1, 2, 3, 4]
    assert [run.epochs for run in done] == [3, 3, 3, 3, 1]
    for job, run in zip(jobs, done, strict=True):
        alone = fit(task, job).run.curves.validation_loss
        assert run.curves.validation_loss == pytest.approx(alone, rel=1e-3)


def test_a_job_gives_the_same_numbers_alone_and_in_company(task):
    jobs = [Job((), seed) for seed in range(5)]
    assert perform(task, *jobs)[3].curves == perform(task, jobs[3])[0].curves


def test_one_remedy_that_cannot_serve_refuses_its_jobs_alone(task):
    jobs = [Job((RemedySpec("ScaleInputs", {}),), 0, arm="scaled"), Job((), 1)]
    jobs += [Job((RemedySpec("Activation", {"kind": "relu"}),), 0, arm="relu")]
    done = perform(task, *jobs)
    assert isinstance(done[1], RunRecord)
    assert isinstance(done[2], Refusal)
    assert done[2].arm == "relu"


def test_what_cannot_be_stacked_runs_alone(make_task):
    task = make_task()

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.output = nn.RNN(4, 5, batch_first=True), nn.Linear(5, 2)

        def forward(self, x):
            return self.output(self.rnn(x[:, None])[0][:, -1])

    task.make_model = Reader
    jobs = [Job((), seed) for seed in range(2)]
    done = perform(task, *jobs)
    assert [run.curves for run in done] == [fit(task, job).run.curves for job in jobs]


def test_runs_whose_program_fails_are_done_alone_and_it_is_said(task, monkeypatch):
    def broken(*args, **options):
        raise RuntimeError("no memory\nand more")

    monkeypatch.setattr(performing, "fit_stacked", broken)
    with pytest.warns(UserWarning, match="trained one by one.*RuntimeError: no memory$"):
        done = perform(task, Job((), 0), Job((), 1))
    assert done[1].curves == fit(task, Job((), 1)).run.curves


def test_an_error_of_the_untreated_network_is_raised(make_task):
    class Wrong(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, x):
            if self.training:
                raise RuntimeError("not in training")
            return self.layer(x)

    task = make_task()
    task.make_model = Wrong
    with pytest.raises(RuntimeError, match="not in training"):
        perform(task, Job((), 0), Job((), 1))
