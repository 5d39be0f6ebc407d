import time
from functools import partial
from itertools import pairwise

import pytest
import torch
from benchmarks.studies import loops, measuring, peers, products, unstacked, users
from benchmarks.studies.__main__ import TABLES
from benchmarks.studies.grounds import GROUNDS, perceptron, two_convolutions
from torch import nn

from fitwell.studies.executor import InProcess
from fitwell.studies.job import Job
from fitwell.studies.training import fit
from fitwell.tasks import Task


def rows():
    torch.manual_seed(0)
    x = torch.randn(400, 6)
    return x.numpy(), (x[:, 0] > 0).long().numpy()


tiny = partial(perceptron, (6, 16, 2), rows, 16, 12)


def test_arms_take_turns_and_begin_in_either_order():
    called = []

    def arm(name, work):
        called.append(name)
        return work

    arms = {"a": partial(arm, "a", 1.0), "b": partial(arm, "b", 4.0)}
    found = measuring.take_turns(arms, 2)
    assert called == ["a", "b", "a", "b", "b", "a"]
    assert all(len(taken.wall) == len(taken.cpu) == 2 for taken in found.values())


def test_time_is_told_for_a_unit_of_work():
    found = measuring.take_turns({"sleeps": lambda: time.sleep(0.05) or 5.0}, 1, warm=False)
    assert found["sleeps"].wall[0] >= 0.01
    assert found["sleeps"].cpu[0] <= found["sleeps"].wall[0]


def test_a_ratio_is_taken_turn_by_turn():
    assert measuring.ratio([2.0, 9.0, 4.0], [1.0, 3.0, 1.0]).values == (2.0, 3.0, 4.0)
    assert str(measuring.Spread((1.0, 300.0, 2.5))) == "2.5 (1 to 300)"


def test_cpu_seconds_of_this_process_are_counted():
    before = measuring.own_seconds(), measuring.busy_seconds()
    began = time.process_time()
    while time.process_time() - began < 0.05:
        pass
    assert measuring.own_seconds() >= before[0] + 0.03
    assert measuring.busy_seconds() > before[1]


@pytest.mark.parametrize("ground", GROUNDS, ids=lambda ground: ground.name)
def test_every_network_reads_the_rows_of_its_task(ground):
    task = ground.task()
    outputs = task.make_model()(task.data.train.x[:2])
    assert outputs.shape == (2, len(task.data.classes))
    assert min(ground.runs, ground.ours) >= 2


def test_the_loop_learns_what_a_study_learns():
    task = tiny()
    ours = fit(task, Job((), 0)).run.curves.validation_metric[-1]
    assert loops.users_run(task, 0) == pytest.approx(ours, abs=0.1)
    assert loops.users_run(task, 0) > 0.8


def test_runs_are_counted_in_processes_and_in_studies():
    class Here:
        def submit(self, call, *arguments):
            self.value = call(*arguments)
            return self

        def result(self):
            return self.value

    assert users.in_processes(Here(), tiny, [[0, 1]]) == 2
    assert users.fitwells_runs(tiny(), InProcess(), 3) == 3


def test_the_classifier_has_the_layers_of_the_network():
    assert peers.hidden_widths(tiny()) == [16]
    images = Task("images", two_convolutions, (torch.randn(40, 1, 28, 28), torch.arange(40) % 10),
                  "cross_entropy", "accuracy")  # fmt: skip
    assert peers.hidden_widths(images) is None
    assert peers.classifiers_run(tiny, [16], [0]) == 1


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["", "journal", "sqlite"])
def test_optuna_does_its_trials(kind, tmp_path):
    path = {"journal": str(tmp_path / "log"), "sqlite": f"sqlite:///{tmp_path / 'db'}"}.get(
        kind, ""
    )
    assert peers.optimize(tiny, 2, 1, path) == 2


def test_the_operations_of_a_step_are_those_that_are_counted():
    from torch.utils.flop_counter import FlopCounterMode

    widths, batch = (12, 8, 8, 3), 16
    model = nn.Sequential(*(nn.Linear(a, b) for a, b in pairwise(widths)))
    with FlopCounterMode(display=False) as counter:
        model(torch.randn(batch, 12)).sum().backward()
    assert products.flops(widths, batch) == counter.get_total_flops()
    products.products(widths, batch, 2)()


def test_rows_have_the_columns_of_their_heads():
    for module, row in (
        (products, products.row((16, 8, 10), 128, 1)),
        (unstacked, unstacked.row("tiny", unstacked.shaped(16, 2, 16), 1)),
    ):
        assert row.count("|") == module.HEAD.splitlines()[0].count("|")


def test_names_choose_rows_and_an_unknown_one_leaves_the_head_alone():
    for name in ("unstacked", "products", "peers", "cores"):
        lines = list(TABLES[name](["no such row"], 1))
        assert len(lines) == 2
