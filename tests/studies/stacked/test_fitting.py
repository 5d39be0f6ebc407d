from __future__ import annotations

import subprocess
import sys
from functools import partial

import pytest
import torch
from tests.studies.stacked.conftest import (
    assert_same,
    compare,
    exact_task,
    identical,
    jobs_of,
)
from torch import nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from fitwell.errors import NotApplicable
from fitwell.records import RemedySpec
from fitwell.studies.job import Job
from fitwell.studies.stacked import Unstackable, fit_stacked, stackable, structure
from fitwell.studies.training import fit
from fitwell.tasks import Task, builtin
from fitwell.tasks.models import mlp

REMEDIES = (
    *("BatchNorm", "LayerNorm", "GroupNorm", "Dropout", "ScaleInputs", "L1", "L2", "ClipNorm"),
    *("ClipValue", "AdaptiveClip", "PercentileClip", "Mixup", "LabelSmoothing", "WeightAverage"),
    *("LearningRate", "EarlyStopping", "Initialization", "LSUV", "Shrink", "Augment"),
)


@pytest.mark.parametrize("name", REMEDIES)
def test_runs_with_a_remedy_are_those_that_each_does_alone(name):
    compare(exact_task(), jobs_of(name))


@pytest.mark.parametrize("kind", ["prelu", "gelu", "selu", "elu", "silu", "leaky_relu", "relu"])
def test_runs_with_another_activation_are_those_that_each_does_alone(kind):
    task = exact_task(lambda: mlp((12, 16, 16, 3), activation=nn.Sigmoid))
    compare(task, jobs_of(RemedySpec("Activation", {"kind": kind})))


def test_many_remedies_together_act_as_alone():
    recipe = ("Dropout", "BatchNorm", "L2", "ClipNorm", "Mixup", "WeightAverage", "LabelSmoothing")
    compare(exact_task(), jobs_of(*recipe))


def test_runs_of_other_doses_train_together():
    doses = [
        {"rate": 0.0},
        {"rate": 0.2},
        {"rate": 0.7},
    ]
    jobs = [
        Job((RemedySpec("Dropout", dose), RemedySpec("L2", {"strength": 0.1 * i})), 5, test=True)
        for i, dose in enumerate(doses)
    ]
    task = exact_task()
    assert len({structure(task, job) for job in jobs}) == 1
    compare(task, jobs)


def test_the_untreated_network_without_biases_and_with_tanh_trains_alike():
    def network() -> nn.Module:
        return nn.Sequential(
            nn.Sequential(nn.Linear(12, 9, bias=False), nn.Tanh()),
            nn.Identity(),
            nn.Dropout(0.3),
            nn.ReLU(),
            nn.Linear(9, 3),
        )

    compare(exact_task(network), jobs_of())


def test_images_are_flattened():
    task = exact_task(lambda: mlp((12, 8, 3), flatten=True), shape=(3, 4))
    compare(task, jobs_of())


@pytest.mark.parametrize(
    "optimizer",
    [
        partial(AdamW, lr=1e-2, weight_decay=0.3, betas=(0.8, 0.9)),
        partial(Adam, lr=1e-2, weight_decay=0.1),
        partial(SGD, lr=0.05),
        partial(SGD, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
        partial(SGD, lr=0.05, momentum=0.9, dampening=0.1),
        partial(RMSprop, lr=1e-3),
        partial(RMSprop, lr=1e-3, centered=True, momentum=0.5, weight_decay=0.1),
    ],
)
def test_every_optimizer_steps_as_alone(optimizer):
    compare(exact_task(optimizer=optimizer), jobs_of())


def test_groups_of_parameters_keep_their_own_rates():
    def grouped(params):
        params = list(params)
        return AdamW([{"params": params[:1], "lr": 0.1}, {"params": params[1:]}], lr=1e-3)

    compare(exact_task(optimizer=grouped), jobs_of("L2"))


@pytest.mark.parametrize(
    ("optimizer", "reason"),
    [(torch.optim.Adagrad, "Adagrad"), (partial(Adam, amsgrad=True), "amsgrad")],
)
def test_other_optimizers_are_refused_with_a_reason(optimizer, reason):
    assert reason in str(stackable(exact_task(optimizer=optimizer), Job((), 0)))


def test_a_share_of_the_rows_is_the_same_share_as_alone():
    jobs = [Job((), seed, test=True, share=0.4) for seed in range(3)]
    compare(exact_task(), jobs)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_numbers_are_learned_as_alone(loss):
    task = exact_task(lambda: mlp((12, 8, 1)))
    parts = [type(p)(p.x, p.x[:, :1] / 4) for p in (task.data.train, task.data.validation)]
    data = type(task.data)(*parts, parts[1], "table")
    compare(
        Task("n", lambda: mlp((12, 8, 1)).double(), data, loss, "r2", epochs=3), jobs_of("Mixup")
    )


def test_a_loss_of_ones_own_is_called_run_by_run():
    def focal(outputs, targets):
        probability = outputs.softmax(1).gather(1, targets[:, None])
        return -((1 - probability) ** 2 * probability.log()).mean()

    def hits(outputs, targets):
        return float((outputs.argmax(1) == targets).double().mean())

    compare(exact_task(loss=focal, metric=hits, higher_is_better=True), jobs_of())


class TestEnds:
    def test_a_run_that_diverges_leaves_and_the_others_go_on(self):
        task = exact_task(optimizer=partial(SGD, lr=0.1), epochs=5)
        jobs = [Job((), seed, rate) for seed, rate in ((0, 1.0), (1, 1e30), (2, 0.5), (3, 1e30))]
        done = compare(task, jobs)
        assert [each.run.diverged for each in done] == [False, True, False, True]
        assert [each.run.epochs for each in done] == [5, 1, 5, 1]
        assert identical(done[2], fit_stacked(task, [jobs[2]])[0])

    def test_every_run_may_diverge(self):
        task = exact_task(optimizer=partial(SGD, lr=1e30))
        done = compare(task, [Job((), seed, test=True) for seed in range(2)])
        assert all(each.run.diverged for each in done)

    def test_runs_stop_early_one_by_one(self):
        stop = RemedySpec("EarlyStopping", {"patience": 2})
        average = RemedySpec("WeightAverage", {"decay": 0.5})
        jobs = [
            Job((stop, RemedySpec("Dropout", {}), average), seed, rate)
            for seed, rate in ((0, 30.0), (1, 10.0), (2, 100.0), (3, 1e-3))
        ]
        done = compare(exact_task(epochs=20), jobs)
        assert len({each.run.epochs for each in done}) > 2


BITS = """
import importlib.util, os, sys
import torch
os.environ["MKL_CBWR"] = "AUTO,STRICT"
spec = importlib.util.spec_from_file_location("fitting", sys.argv[1])
fitting = importlib.util.module_from_spec(spec)
sys.modules["fitting"] = fitting
spec.loader.exec_module(fitting)
for activation in ("ReLU", "Sigmoid", "GELU"):
    for names in ((), ("Dropout", "BatchNorm", "ClipNorm"), ("LayerNorm", "Mixup")):
        fitting.check_bits(names, getattr(torch.nn, activation))
"""


def check_bits(names, activation):
    task = single(activation)
    recipe = tuple(RemedySpec(name, {}) for name in names)
    jobs = [Job(recipe, seed, (1.0, 0.3, 3.0, 1.0)[seed % 4], epochs=2) for seed in range(16)]
    all_of_them = fit_stacked(task, jobs)
    for count in (1, 2, 5):
        for one, other in zip(fit_stacked(task, jobs[:count]), all_of_them, strict=False):
            assert identical(one, other), (names, activation)


def test_a_run_is_the_same_in_every_bit_whatever_it_is_stacked_with():
    """In a process of its own: MKL learns how strict it has to be at its first product."""
    command = [sys.executable, "-W", "ignore", "-c", BITS, __file__]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def single(activation: type[nn.Module]) -> Task:
    """In single precision, with odd sizes, which leave remainders in vector registers."""
    task = exact_task()
    parts = [task.data.train, task.data.validation, task.data.test]
    data = type(task.data)(*(type(p)(p.x.float(), p.y) for p in parts), "table", ("a", "b", "c"))
    network = partial(mlp, (12, 13, 7, 3), activation=activation)
    return Task("single", network, data, "cross_entropy", "accuracy", batch_size=15, epochs=2)


def test_jobs_of_several_structures_are_refused():
    task = exact_task()
    with pytest.raises(Unstackable, match="do not share a structure"):
        fit_stacked(task, [Job((), 0), Job((RemedySpec("BatchNorm", {}),), 0)])


def test_a_remedy_that_cannot_serve_is_refused_as_alone():
    task = exact_task(lambda: nn.Sequential(nn.Linear(12, 3)))
    job = Job((RemedySpec("Activation", {}),), 0)
    with pytest.raises(NotApplicable):
        fit_stacked(task, [job])
    assert "cannot be treated" in str(stackable(task, job))


def test_seconds_are_shared_among_the_runs():
    done = fit_stacked(exact_task(), jobs_of())
    assert len({each.run.seconds for each in done}) == 1
    assert done[0].run.seconds > 0


def test_the_callers_random_state_stays_as_it_was():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    fit_stacked(exact_task(), jobs_of("Dropout"))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
@pytest.mark.parametrize("name", builtin())
def test_every_built_in_task_trains_as_one_program_or_alone(name):
    task = builtin()[name].make()
    jobs = [Job((), seed, rate, test=True, epochs=2) for seed, rate in ((0, 1.0), (1, 0.3))]
    if name == "digits-rows-rnn":
        assert stackable(task, jobs[0]) is not None
        return
    assert stackable(task, jobs[0]) is None
    alone = [fit(task, job) for job in jobs]
    assert_same(fit_stacked(task, jobs), alone, 2e-3)
