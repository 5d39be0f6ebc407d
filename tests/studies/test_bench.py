from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from fitwell.records import RemedySpec, RunRecord
from fitwell.studies import Budget, InProcess
from fitwell.studies.bench import Bench
from fitwell.studies.budget import LEAST_SEARCH
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


class Spy:
    """Keeps the batches that it does, here and in order."""

    def __init__(self, workers=1):
        self.workers, self.batches = workers, []

    def share(self, value):
        return lambda: value

    def map(self, function, jobs):
        for batch in jobs:
            self.batches.append(batch)
            yield batch, function(batch)

    def close(self, *, now=False): ...


def dropout(seed, epochs=None):
    return Job((RemedySpec("Dropout", {"rate": 0.1 + 0.1 * seed}),), seed, epochs=epochs)


def plain(done):
    return {job: replace(run, seconds=0) for job, run in done.items()}


def test_jobs_of_one_structure_go_together_and_come_back_in_their_own_order(task):
    spy = Spy()
    wanted = [j for seed in range(4) for j in (Job((), seed), dropout(seed))]
    done = Bench(task, spy).run(wanted)
    assert list(done) == wanted
    assert [len(batch) for batch in spy.batches] == [4, 4]
    assert len({batch[0].recipe == () for batch in spy.batches}) == 2


def test_results_depend_neither_on_the_workers_nor_on_the_order_of_the_jobs(task):
    wanted = [j for seed in range(5) for j in (Job((), seed), dropout(seed))]
    one = plain(Bench(task, Spy()).run(wanted))
    assert plain(Bench(task, Spy(workers=3)).run(wanted)) == one
    assert plain(Bench(task, Spy()).run(wanted[::-1])) == one
    alone = Bench(task, Spy())
    assert {job: plain(alone.run([job]))[job] for job in wanted} == one


def test_partial_runs_cost_their_share_of_a_run(make_task):
    budget = Budget(None, 3)
    bench = Bench(make_task(epochs=4), Spy(), budget=budget)
    beginnings = [dropout(seed, epochs=1) for seed in range(6)]
    assert len(bench.run(beginnings, share=1.0)) == 6
    assert budget.runs_spent == 1.5
    assert len(bench.run(JOBS, share=1.0)) == 1


def test_a_number_of_runs_is_taken_in_the_order_of_the_jobs(task):
    wanted = [j for seed in range(4) for j in (Job((), seed), dropout(seed))]
    bench = Bench(task, Spy(), budget=Budget(None, 5))
    assert list(bench.run(wanted, share=1.0)) == wanted[:5]


def test_time_that_runs_out_cuts_a_batch_and_ends_the_search(task):
    clock = Clock()
    budget = Budget(100.0, now=clock)
    budget.start()
    budget.runs_spent = LEAST_SEARCH
    spy = Slow(clock, each=10.0)
    bench = Bench(task, spy, budget=budget)
    assert list(bench.run([dropout(8)], share=1.0)) == [dropout(8)]
    done = bench.run([dropout(seed) for seed in range(8)], share=1.0)
    assert 0 < len(done) < 8
    assert clock.now <= 60
    assert budget.runs_spent == LEAST_SEARCH + 1 + len(done)


def test_a_machine_that_becomes_slow_gets_fewer_runs(task):
    finished = []
    for slower in (1.0, 4.0):
        clock = Clock()
        budget = Budget(100.0, now=clock)
        budget.start()
        budget.runs_spent = LEAST_SEARCH
        spy = Slow(clock, each=1.0, later=slower)
        bench = Bench(task, spy, budget=budget)
        done = {}
        for seed in range(60):
            done |= bench.run([dropout(seed % 8), Job((), seed)], share=1.0)
        finished.append(len(done))
        assert clock.now <= 60 * 1.1
    assert finished[1] < finished[0] / 2


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Slow:
    """Does nothing, and lets the clock go on; runs stacked take as long as one after another."""

    workers = 1

    def __init__(self, clock, each, later=1.0):
        self.clock, self.each, self.later = clock, each, later

    def share(self, value):
        return lambda: value

    def map(self, function, jobs):
        for batch in jobs:
            results = function(batch)
            each = self.each * (self.later if self.clock.now > 10 else 1.0)
            self.clock.now += each * len(batch)
            yield batch, [replace(done, seconds=each) for done in results]

    def close(self, *, now=False): ...
