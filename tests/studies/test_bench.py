from __future__ import annotations

import pytest
import torch

from fitwell.records import RemedySpec, RunRecord
from fitwell.studies import Budget, InProcess
from fitwell.studies.bench import Bench
from fitwell.studies.job import Job, Refusal
from fitwell.studies.performing import outputs_name, weights_name
from fitwell.studies.store import Memory
from fitwell.studies.training import fit

JOBS = [Job((), seed) for seed in range(5)]


class Counting:
    def __init__(self):
        self.count = 0

    def stage(self, name, total): ...

    def advance(self, n=1):
        self.count += n

    def say(self, text): ...

    def done(self): ...


def test_a_finished_job_is_not_done_again(task):
    memory = Memory()
    first = Bench(task, InProcess(), store=memory).run(JOBS[:1])
    task.make_model = None
    again = Bench(task, InProcess(), store=memory).run(JOBS[:1])
    assert again == first


def test_the_budget_cuts_a_batch_short_and_stored_jobs_count_as_runs(task):
    memory = Memory()
    Bench(task, InProcess(), store=memory).run(JOBS[:2])
    bench = Bench(task, InProcess(), store=memory, budget=Budget(None, 3))
    assert list(bench.run(JOBS, share=1.0)) == JOBS[:3]
    assert list(bench.run(JOBS[3:], share=1.0)) == []


def test_without_a_share_everything_is_done(task):
    bench = Bench(task, InProcess(), budget=Budget(None, 1))
    assert len(bench.run(JOBS)) == 5


def test_a_job_given_twice_is_done_once(task):
    counting = Counting()
    bench = Bench(task, InProcess(), progress=counting)
    assert len(bench.run([JOBS[0], JOBS[0]])) == 1
    assert counting.count == 1


def test_a_remedy_that_cannot_serve_is_a_refusal_with_its_reason(task):
    job = Job((RemedySpec("Activation", {"kind": "relu"}),), 0, arm="swap")
    done = Bench(task, InProcess()).run([job])[job]
    assert isinstance(done, Refusal)
    assert "activation" in done.reason


def test_a_treated_network_that_breaks_in_training_is_a_refusal(make_task):
    task = make_task(batch_size=1)
    job = Job((RemedySpec("BatchNorm"),), 0)
    done = Bench(task, InProcess()).run([job])[job]
    assert isinstance(done, Refusal)
    assert "does not train" in done.reason


def test_an_untreated_network_that_breaks_is_an_error(make_task):
    task = make_task()
    task.make_model = lambda: torch.nn.Linear(3, 2)
    with pytest.raises(RuntimeError):
        Bench(task, InProcess()).run(JOBS[:1])


def test_weights_are_kept_of_runs_that_are_scored_on_test_alone(task, tmp_path):
    job = Job((), 1, test=True, arm="untreated")
    done = Bench(task, InProcess(), weights=tmp_path).run([Job((), 0, arm="untreated"), job])
    assert isinstance(done[job], RunRecord)
    expected = {weights_name("untreated", 1), outputs_name("untreated", 1)}
    assert {p.name for p in tmp_path.iterdir()} == expected
    state = torch.load(tmp_path / weights_name("untreated", 1), weights_only=True)
    for name, value in fit(task, job).model.state_dict().items():
        assert torch.allclose(state[name], value, atol=1e-5)
